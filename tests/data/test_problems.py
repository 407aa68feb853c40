from flawsmith.data.problems import Problem, first_of


def test_the_first_few_are_named_and_the_others_counted():
    assert first_of(["a", "b"]) == "a, b"
    assert first_of(list("abcd")) == "a, b, c, d"
    assert first_of(list("abcdef")) == "a, b, c, d and 2 more"


def test_the_line_is_brief_and_the_document_whole():
    problem = Problem("W_COUNT", "every one", whole=True, brief="a few")
    assert problem.line() == "a few"
    assert problem.to_json()["message"] == "every one"
