"""The paper's zoom study: accuracies of every zoom, covers, a report. It decides about no image."""
