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
