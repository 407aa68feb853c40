import numpy as np
import pytest

from flawsmith.synthesis.cutpaste import CutPaste
from flawsmith.synthesis.cutpaste_scar import CutPasteScar
from flawsmith.synthesis.gallery import contact_sheet, difference_picture


@pytest.mark.parametrize("count", [1, 4, 7])
def test_sheets_hold_any_number(made, noise, count):
    anomalies = [made(CutPaste(), noise(60, 90), seed, defect="Riß") for seed in range(count)]
    sheet = contact_sheet(anomalies, tile=64)
    assert sheet.dtype == np.uint8
    assert sheet.shape[2] == 3
    assert sheet.shape[1] == contact_sheet(anomalies[:1], tile=64).shape[1] * (1 if count <= 4 else 2) + (12 if count > 4 else 0)


def test_small_defects_are_enlarged(made, noise):
    anomaly = made(CutPasteScar(), noise(256, 256), 2)
    sheet = contact_sheet([anomaly], tile=256)
    tile = sheet[24 : 24 + 256, 6 + 2 * 262 : 6 + 2 * 262 + 256, 0] > 128
    assert tile.sum() > 8 * anomaly.mask.sum()


def test_a_faint_difference_is_not_drawn_in_full():
    clean = np.full((8, 8, 3), 100, np.uint8)
    faint, strong = clean.copy(), clean.copy()
    faint[0, 0], strong[0, 0] = 102, 200
    assert difference_picture(clean, faint).max() < 0.5 * difference_picture(clean, strong).max()
    assert (difference_picture(clean, clean) == difference_picture(clean, clean)[0, 0]).all()
