"""What code, tests, cases and assertions look like in each language. Tables only; `suites` reads files with them."""

import re
from dataclasses import dataclass
from typing import Final

_NONE: Final = re.compile(r"(?!)")


def _line(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Language:
    """How to tell a test file, a test case, an assertion and a skipped case in one language."""

    name: str
    endings: tuple[str, ...]
    test_path: re.Pattern[str]
    case: re.Pattern[str]
    asserts: re.Pattern[str]
    skips: re.Pattern[str] = _NONE
    comment: str = "//"


_ANY_ASSERT: Final = r"\b(?:assert\w*|verify\w*|should\w*|check\w*|require\w*|fail)\s*[({!]"

LANGUAGES: Final = (
    Language(
        "Python", (".py", ".pyi"), re.compile(r"(^|/)(test_[^/]*|[^/]*_test)\.py$"),
        _line(r"^[ \t]*(?:async[ \t]+)?def[ \t]+test\w*"),
        _line(r"^[ \t]*assert[ (]|\.assert\w+\(|\b(?:pytest|self)\.(?:raises|warns|fail)\b|\bexpect\(|^[ \t]*assert_\w+\("),
        _line(r"pytest\.(?:mark\.)?skip(?!if)|unittest\.skip\b|@skip\b"), "#",
    ),
    Language(
        "JavaScript", (".js", ".jsx", ".mjs", ".cjs", ".ts", ".tsx", ".mts", ".vue", ".svelte"),
        re.compile(r"\.(test|spec)\.[cm]?[jt]sx?$|(^|/)__tests__/|(^|/)tests?/[^/]*[._-]?test[^/]*\.[cm]?[jt]s$"),
        _line(r"(?<![\w.])(?:x?it|x?test|Deno\.test)(?:\.(?:only|skip|each|todo|concurrent))*[ \t]*[(`]"),
        _line(r"\bexpect\s*\(|\bassert\w*(?:\.\w+)*\s*\(|\.should\b|\bt\.(?:is|not|ok|true|false|equal|deepEqual|same|throws\w*)\("),
        _line(r"\b(?:it|test|describe)\.(?:skip|todo)\b|\bx(?:it|test|describe)\s*\("),
    ),
    Language(
        "Go", (".go",), re.compile(r"_test\.go$"), _line(r"^func[ \t]+(?:\([^)\n]*\)[ \t]*)?(?:Test|Fuzz)\w*\("),
        _line(r"\b[a-z]\w*\.(?:Errorf?|Fatalf?|Fail|FailNow)\(|\b(?:assert|require|cmp|is)\.\w+\("), _line(r"\b[tb]\.Skip"),
    ),
    Language(
        "Java", (".java", ".kt", ".kts", ".groovy", ".scala"),
        re.compile(r"(^|/)src/(test|integrationTest|androidTest)/|(Test|Tests|IT|Spec)\.(java|kt|groovy|scala)$"),
        _line(r"@(?:Test|ParameterizedTest|RepeatedTest|Property)\b|^[ \t]*(?:test|it)\(\""),
        _line(_ANY_ASSERT + r"|\bassertThat\b|\bassert\s|\b(?:shouldBe|shouldEqual|expectThrows)\b"), _line(r"@(?:Disabled|Ignore)\b"),
    ),
    Language(
        "Rust", (".rs",), re.compile(r"(^|/)tests/[^/]+\.rs$"), _line(r"#\[(?:\w+::)?test\b"),
        _line(r"\b(?:debug_)?assert\w*!|\bpanic!|should_panic|\?;"), _line(r"#\[ignore"),
    ),
    Language(
        "C#", (".cs",), re.compile(r"Tests?\.cs$|(^|/)[^/]*\.Tests?/"), _line(r"\[(?:Fact|Theory|Test|TestMethod|TestCase)\b"),
        _line(r"\bAssert\.\w+|\.Should\(|\bVerify\w*\("), _line(r"\[Ignore|Skip\s*="),
    ),
    Language(
        "Ruby", (".rb",), re.compile(r"(_spec|_test)\.rb$|(^|/)test_[^/]*\.rb$"),
        _line(r"^[ \t]*(?:it|specify|test)[ (]['\"]|^[ \t]*def test_"), _line(r"\bexpect[ ({]|\bassert\w*[ (]|\bmust_|\.should\b"),
        _line(r"^[ \t]*(?:xit|skip|pending)\b"), "#",
    ),
    Language(
        "PHP", (".php",), re.compile(r"Test\.php$"), _line(r"function\s+test\w*|#\[Test\]|^[ \t]*(?:it|test)\("),
        _line(r"(?:->|::)(?:assert|expect)\w*\(|\bexpect\("), _line(r"markTestSkipped"),
    ),
    Language(
        "C++", (".c", ".cc", ".cpp", ".cxx", ".h", ".hpp"), re.compile(r"(^|/)(test_[^/]*|[^/]*_(?:unit)?test)\.(c|cc|cpp|cxx)$"),
        _line(r"^[ \t]*(?:TEST(?:_[FP])?|TEST_CASE|SCENARIO|START_TEST)\s*\(|^(?:static )?(?:void|int) test_\w+"),
        _line(r"\b(?:EXPECT|ASSERT|REQUIRE|CHECK|ck_assert)\w*\s*\(|\bassert\w*\s*\("), _line(r"GTEST_SKIP|DISABLED_"),
    ),
    Language(
        "Swift", (".swift",), re.compile(r"Tests?\.swift$"), _line(r"func\s+test\w*|@Test\b"), _line(r"\bXCTAssert|#expect|#require"),
        _line(r"XCTSkip"),
    ),
    Language(
        "Elixir", (".ex", ".exs"), re.compile(r"_test\.exs$"), _line(r"^[ \t]*test \""), _line(r"\b(?:assert|refute)\w*[ (]"),
        _line(r"@tag :skip"), "#",
    ),
    Language("Shell", (".sh", ".bash", ".bats"), re.compile(r"\.bats$"), _line(r"^@test "), _line(r"\[\[? |\bassert\w* |\brun "), _line(r"^[ \t]*skip\b"), "#"),
    Language("SQL", (".sql",), _NONE, _NONE, _NONE, _NONE, "--"),
)  # fmt: skip

BY_ENDING: Final = {ending: language for language in LANGUAGES for ending in language.endings}

VENDORED: Final = re.compile(
    r"(?i)(^|/)(vendor|vendored|third[_-]?party|node_modules|bower_components|site-packages|\.?venv|pods|externals?|"
    r"jspm_packages|\.yarn|extern|deps)/"
)
GENERATED_PATH: Final = re.compile(
    r"(?i)(^|/)(dist|build|out|target|generated|__generated__|gen)/|\.(min\.js|pb\.go|g\.dart|designer\.cs|bundle\.js)$|_pb2(_grpc)?\.pyi?$"
)
GENERATED_TEXT: Final = re.compile(
    r"(?i)code generated .*do not edit|@generated\b|auto-?generated (?:file|by)|do not edit (?:by hand|manually)"
)

HOLLOW_ASSERT: Final = re.compile(
    r"\bassert(?:True|_true|\.ok|\.isTrue|IsTrue)?!?[ (]\s*(?:True|true|1|not False|!false)\s*(?:\)|;|$|,)"
    r"|\bassert\s+(?:(\d+)\s*==\s*\1)\b"
    r"|\bassert\w*[(!]\s*(?:\w+,\s*)?(true|True|\d+|\"\w*\")\s*,\s*\2\s*\)"
    r"|\bexpect\(\s*(true|1|'\w*'|\"\w*\")\s*\)\s*\.to(?:Be|Equal|BeTruthy|StrictEqual)?\w*\(\s*(?:\3)?\s*\)",
    re.MULTILINE,
)
