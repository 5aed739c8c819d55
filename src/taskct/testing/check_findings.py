"""What a check found: one line per question, and an error on demand."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal

Verdict = Literal["pass", "fail", "skip"]


class CheckFailedError(AssertionError):
    """A part does not keep its contract; the message lists what failed and why."""


@dataclass(frozen=True)
class Finding:
    """The answer to one question."""

    question: str
    verdict: Verdict
    detail: str = ""

    def __str__(self) -> str:
        return f"{self.verdict:4}  {self.question}" + (f": {self.detail}" if self.detail else "")


@dataclass
class Findings:
    """All answers about `subject`. `print(findings)` shows them; `raise_if_failed()` makes a test of them."""

    subject: str
    lines: list[Finding] = field(default_factory=list)

    @property
    def passed(self) -> bool:
        """True when nothing failed."""
        return not self.failures

    @property
    def failures(self) -> list[Finding]:
        """The lines that failed."""
        return [f for f in self.lines if f.verdict == "fail"]

    def raise_if_failed(self) -> None:
        """Raise CheckFailedError with every failed line."""
        if self.failures:
            reasons = "; ".join(f"{f.question}: {f.detail}" for f in self.failures)
            raise CheckFailedError(f"{self.subject} fails {len(self.failures)} of {len(self.lines)} checks: {reasons}")

    def say(self, question: str, good: bool, detail: str = "") -> bool:
        """Note whether `question` was answered well."""
        self.lines.append(Finding(question, "pass" if good else "fail", detail))
        return good

    def skip(self, question: str, why: str) -> None:
        """Note a question that could not be asked."""
        self.lines.append(Finding(question, "skip", why))

    @contextmanager
    def asking(self, question: str) -> Iterator[None]:
        """Note an exception inside the block as a failure of `question`: one broken part does not hide the others."""
        try:
            yield
        except Exception as error:
            text = " ".join(str(error).split())
            self.say(question, False, f"raised {type(error).__name__}: {text[:300]}")

    def __str__(self) -> str:
        failed = len(self.failures)
        last = f"{self.subject}: {f'{failed} of {len(self.lines)} checks failed' if failed else 'all checks passed'}"
        return "\n".join([*map(str, self.lines), last])
