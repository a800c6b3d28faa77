"""What ImageNet and the paper fix for everybody: classes, names, masks, zooms. It reads no benchmark."""
