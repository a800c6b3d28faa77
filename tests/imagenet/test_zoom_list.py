"""Lists of zooms as files."""

import pytest

from imagenet_hard.base.errors import UsageError
from imagenet_hard.imagenet.zoom import Zoom, ZoomGrid
from imagenet_hard.imagenet.zoom_list import indices, read_zoom_list


def test_zooms_are_read_in_their_order(tmp_path):
    """Other columns are passed over; the numbers are those of the grid, whatever its crop."""
    path = tmp_path / "cover.csv"
    path.write_text("rank,scale,row,column\n1,256,1,1\n2,10,0,0\n3,1024,2,2\n")
    zooms = read_zoom_list(path)
    assert zooms == (Zoom(256, 1, 1), Zoom(10, 0, 0), Zoom(1024, 2, 2))
    assert indices(zooms, ZoomGrid()) == [112, 0, 323]
    assert indices(zooms[::2], ZoomGrid.for_size(448)) == [112, 323]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "zooms.csv:1: got the header '', expected scale,row,column once each"),
        ("scale,row,column\n", "holds no zoom"),
        ("scale,row,column\n256,1,3\n", "zooms.csv:2: got scale 256, anchor (1, 3), expected a scale of 1"),
        ("scale,row,column\n256,1,1\n0,1,1\n", "zooms.csv:3"),
        ("scale,row,column\n256,1,one\n", "column='one', expected whole numbers"),
        ("scale,row,column\n256,1\n", "zooms.csv:2: got 2 cells, expected 3"),
        ("scale,row,column\n256,1,1\n256,1,1\n", "scale 256, anchor (1, 1) twice"),
    ],
)
def test_what_is_no_list_of_zooms_is_refused(tmp_path, text, message):
    """By line, with what was got and expected."""
    path = tmp_path / "zooms.csv"
    path.write_text(text)
    with pytest.raises(UsageError, match=message.replace("(", r"\(").replace(")", r"\)")):
        read_zoom_list(path)


def test_a_missing_file_and_a_foreign_scale_are_refused(tmp_path):
    """With the path, and the grid's scales."""
    with pytest.raises(UsageError, match="cannot read .*none.csv: it is not there"):
        read_zoom_list(tmp_path / "none.csv")
    with pytest.raises(UsageError, match="not in the grid of scales 10, 16"):
        indices([Zoom(257, 1, 1)], ZoomGrid())
