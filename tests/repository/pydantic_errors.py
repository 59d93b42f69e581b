#!/usr/bin/env python3
"""The errors in ashlar/schema/pydantic_test.cpp are those of Pydantic 2 itself. Skipped (77) where it is not installed.

The inputs go the way of a FastAPI body: json.loads, then validation of what that gives. Cases without a counterpart on this
machine (EmailStr needs email-validator) are counted and named.
"""
import json
import re
import sys
from pathlib import Path

try:
    import pydantic
except ImportError:
    sys.exit(77)
if pydantic.VERSION.startswith("1."):
    sys.exit(77)

from datetime import date, datetime, time, timedelta  # noqa: E402,F401  what the comments in the test name
from decimal import Decimal  # noqa: E402,F401
from enum import Enum  # noqa: E402
from typing import Annotated, Dict, List, Literal, Optional, Set, Tuple, Union  # noqa: E402,F401
from uuid import UUID  # noqa: E402,F401

from pydantic import (  # noqa: E402,F401
    UUID4, AfterValidator, AnyUrl, AwareDatetime, Base64Bytes, BaseModel, ConfigDict, EmailStr, Field, FiniteFloat,
    FutureDate, FutureDatetime, HttpUrl, IPvAnyAddress, PastDate, PastDatetime, SecretStr, StrictBool, TypeAdapter,
    UrlConstraints, ValidationError, model_validator)
from pydantic_core import PydanticCustomError  # noqa: E402

TEST = Path(__file__).resolve().parents[2] / "ashlar/schema/pydantic_test.cpp"


class Color(Enum):
    red, green, blue = "red", "green", "blue"


class Point(BaseModel):
    x: int
    label: str


class Tight(BaseModel):
    model_config = ConfigDict(extra="forbid")
    a: int = 0


class Renamed(BaseModel):
    first_name: int = Field(alias="firstName")


class Nested(BaseModel):
    points: List[Point]
    named: Dict[str, Point]


class Cat(BaseModel):
    kind: Literal["cat"]
    lives: int = 9


class Dog(BaseModel):
    kind: Literal["dog"]
    name: str


Pet = Annotated[Union[Cat, Dog], Field(discriminator="kind")]


class Password(BaseModel):
    first: str
    second: str

    @model_validator(mode="after")
    def same(self):
        if self.first != self.second:
            raise ValueError("the passwords differ")
        return self


def refuse(name):
    if name == "admin":
        raise ValueError("is reserved")
    if name == "root":
        raise PydanticCustomError("name_reserved", "Take another name")
    return name


NotAdmin = Annotated[str, AfterValidator(refuse)]


def loc_text(loc):
    out = ""
    for item in loc:
        out += f"[{item}]" if isinstance(item, int) else f"{'.' if out else ''}{item}"
    return out


def cases():
    """(line, Python type, input, type, loc, msg) of each case."""
    text = TEST.read_text(encoding="utf-8")
    string = r'((?:"(?:[^"\\]|\\.)*"\s*)+)'
    pattern = re.compile(rf'// python: (.+)|R"\((.*?)\)",\s*{string},\s*{string},\s*{string}\}}')
    python = None
    for m in pattern.finditer(text, text.index("kCases[]")):
        if m[1]:
            python = m[1]
            continue
        literals = ["".join(json.loads(s) for s in re.findall(r'"(?:[^"\\]|\\.)*"', part)) for part in m.groups()[2:]]
        yield text.count("\n", 0, m.start()) + 1, python, m[2], *literals


def main():
    wrong, left_out, count = [], {}, 0
    for line, python, given, *expected in cases():
        try:
            adapter = TypeAdapter(eval(python))  # the expressions are those of our own test
        except ImportError as error:
            left_out[python] = str(error).splitlines()[0]
            continue
        count += 1
        try:
            value = adapter.validate_python(json.loads(given), from_attributes=True)
            wrong.append(f"{TEST.name}:{line}: {python} takes {given} as {value!r}")
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            found = [first["type"], loc_text(first["loc"]), first["msg"]]
            if found != expected:
                wrong.append(f"{TEST.name}:{line}: {python} says of {given}\n  {found}\nand we\n  {expected}")
    print("\n".join(wrong))
    print(f"Pydantic {pydantic.VERSION}: {count} cases, {len(wrong)} differ; not compared: {left_out or 'none'}")
    return 1 if wrong or count < 50 else 0


if __name__ == "__main__":
    sys.exit(main())
