from flawsmith.core.wording import counted


def test_one_is_singular_and_all_else_is_not():
    assert [counted(n, "image") for n in (0, 1, 2)] == ["0 images", "1 image", "2 images"]
    assert [counted(n, "anomaly", "anomalies") for n in (1, 3)] == ["1 anomaly", "3 anomalies"]
