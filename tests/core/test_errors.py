import inspect

from taskct.core import errors


def test_every_error_is_drawn_in_the_tree_and_has_the_exit_code_of_its_branch():
    classes = [c for _, c in inspect.getmembers(errors, inspect.isclass) if issubclass(c, errors.TaskctError)]
    for c in classes:
        assert c.__name__ in (errors.__doc__ or "")
    codes = {c.__name__: c.exit_code for c in classes}
    assert codes["GeometryError"] == codes["UnitsError"] == codes["ConfigError"] == codes["OutputExistsError"] == 2
    assert codes["FileFormatError"] == codes["UnsupportedDataError"] == 3
    assert codes["ResourceError"] == 4
    assert codes["TaskctError"] == 1


def test_an_unknown_name_far_from_all_gets_the_list_without_a_guess():
    message = str(errors.unknown_name("window", "zzzz", ["ram-lak", "hann"]))
    assert message == "unknown window 'zzzz'; one of ram-lak, hann"


def test_what_a_hostile_file_says_cannot_spoil_the_message():
    error = errors.FileFormatError("a.mat: says 'one\ntwo\x1b[31m\0' " + "9" * 5000 + "; mend it")
    assert "\n" not in str(error) and "\x1b" not in str(error) and "\0" not in str(error)
    assert len(str(error)) < 2100 and str(error).startswith("a.mat: says 'one two") and str(error).endswith("; mend it")
    assert str(errors.InputError("two\nlines, \udcff and \u202f stay")) == "two\nlines, \udcff and \u202f stay"
    import pickle

    assert str(pickle.loads(pickle.dumps(error))) == str(error)


def test_a_part_of_a_name_is_taken_for_the_shortest_name_that_contains_it() -> None:
    names = ["abdomen-unet-feature", "abdomen-unet", "the path of a unet"]
    assert "did you mean 'abdomen-unet'? one of" in str(errors.unknown_name("network", "unet", names))
    assert "did you mean" not in str(errors.unknown_name("network", "-u", names))
