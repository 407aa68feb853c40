from flawsmith.core.errors import DataError, FlawsmithError, NeedUnmet, NoPixelTruth, UnknownName, UsageError, nearest_of


def test_unknown_name_offers_the_nearest():
    error = UnknownName("synthesizer", "cutpast", ["cutpaste", "draem", "nsa"])
    assert str(error) == "no synthesizer 'cutpast'; did you mean cutpaste?"


def test_unknown_name_far_from_everything_lists_all():
    assert "known: draem, nsa" in str(UnknownName("synthesizer", "zzzzzz", ["draem", "nsa"]))


def test_nearest_ignores_case():
    assert nearest_of("DRAEM", ["draem"]) == "did you mean draem?"


def test_nothing_known_is_said():
    assert nearest_of("x", []) == "known: none"


def test_usage_is_exit_code_2_and_the_rest_1():
    assert UsageError.exit_code == 2
    assert FlawsmithError.exit_code == NeedUnmet("a", "b", "c").exit_code == 1


def test_no_pixel_truth_carries_the_rule_and_the_files():
    error = NoPixelTruth("no masks", ["a.png"])
    assert isinstance(error, DataError)
    assert (error.code, error.files) == ("E_NO_PIXEL_GT", ("a.png",))


def test_need_unmet_names_method_missing_thing_and_remedy():
    assert str(NeedUnmet("memseg", "anomalies", "name a synthesizer")) == (
        "memseg needs anomalies, and this run has none; name a synthesizer"
    )
