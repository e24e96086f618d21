"""Whose processors the functions are for: AWS's where they are deployed, the machine's own where they are tried."""


def test_the_architecture_is_a_parameter_and_arm64_where_nobody_says_another(template):
    assert template["Parameters"]["Architecture"]["Default"] == "arm64"
    assert template["Parameters"]["Architecture"]["AllowedValues"] == ["arm64", "x86_64"]


def test_functions_and_what_they_import_are_built_for_the_same(template):
    layer = template["Resources"]["DependenciesLayer"]

    assert template["Globals"]["Function"]["Architectures"] == ["Architecture"]
    assert layer["Metadata"]["BuildArchitecture"] == "Architecture"
    assert layer["Properties"]["CompatibleArchitectures"] == ["Architecture"]


def test_no_function_has_another_one_of_its_own(template):
    assert not [name for name, one in template["Resources"].items() if "Architectures" in one.get("Properties", {})]
