from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import NodeInputError
from engine.zod import to_json_schema

MOVIES = """z.array(z.object({
    title: z.string(), // Title of the movie as a string
    yearOfRelease: z.number().int(), // Release year as an integer number,
    genres: z.enum([
        "Action", "Comedy", "Drama", "Fantasy", "Horror",
    ]).array().max(2), // Array of genres, max of 2 from the defined enum
    shortDescription: z.string().max(500) // Short description, max 500 characters
}))"""


def test_a_schema_as_published_flows_carry_it_is_read() -> None:
    assert to_json_schema(MOVIES) == {
        "type": "array",
        "items": {
            "type": "object",
            "properties": {
                "title": {"type": "string"},
                "yearOfRelease": {"type": "integer"},
                "genres": {
                    "type": "array",
                    "items": {"type": "string", "enum": ["Action", "Comedy", "Drama", "Fantasy", "Horror"]},
                    "maxItems": 2,
                },
                "shortDescription": {"type": "string", "maxLength": 500},
            },
            "required": ["title", "yearOfRelease", "genres", "shortDescription"],
            "additionalProperties": False,
        },
    }


@pytest.mark.parametrize(
    ("source", "schema"),
    [
        ("z.string().min(1).max(3).describe('It\\'s')", {"minLength": 1, "maxLength": 3, "description": "It's"}),
        ("z.string().email()", {"format": "email"}),
        (r"z.string().regex(/^\d+\/$/i)", {"pattern": r"^\d+\/$"}),
        ("z.number().gte(0).lt(1.5)", {"type": "number", "minimum": 0, "exclusiveMaximum": 1.5}),
        ("z.coerce.number().positive()", {"type": "number", "exclusiveMinimum": 0}),
        ("z.array(z.boolean()).nonempty();", {"items": {"type": "boolean"}, "minItems": 1}),
        ("z.boolean().nullable()", {"anyOf": [{"type": "boolean"}, {"type": "null"}]}),
        ("z.union([z.literal('a'), z.literal(2)])", {"anyOf": [{"const": "a"}, {"const": 2}]}),
        ("z.record(z.string(), z.any())", {"type": "object", "additionalProperties": {}}),
        ("z.tuple([z.string(), z.null()])", {"prefixItems": [{"type": "string"}, {"type": "null"}], "minItems": 2}),
        ("z.object({}).passthrough()", {"additionalProperties": True}),
    ],
)
def test_calls_become_keywords(source: str, schema: dict[str, object]) -> None:
    assert schema.items() <= to_json_schema(source).items()


def test_what_may_be_left_out_is_not_required() -> None:
    source = """z.object({
        a: z.string(),
        "b": z.string().optional(),
        c: z.number().default(3), /* three */
        d: z.optional(z.string()),
        e: z.string().nullish(),
    })"""

    assert to_json_schema(source)["required"] == ["a"]


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        ("z.object({\n  a: z.string().transform(x => x)\n})", r"line 2\): unexpected '='"),
        ("z.string().superRefine(z.any())", r"superRefine\(\) is not supported"),
        ("z.function()", r"function\(\) is not supported"),
        ("z.boolean().max(3)", r"max\(\) is not supported"),
        ("z.object({a: z.string()", "expected '}', found ''"),
        ("process.exit(1)", "unexpected 'process'"),
        ("z.string() z.string()", "unexpected 'z'"),
        ("z.string().max('long')", "makes no sense"),
        ("z.string().default(z.any())", "makes no sense"),
        ("z.string().regex(/(/)", "makes no sense"),
        (f"z.literal({'9' * 5000})", "a number is too long"),
        ("", "it ends too early"),
        ("{}", "must begin with z"),
        ("z.array(" * 50, "nested too deeply"),
    ],
)
def test_what_cannot_be_read_is_named(source: str, problem: str) -> None:
    with pytest.raises(NodeInputError, match=problem):
        to_json_schema(source)


@given(st.text(alphabet="z.()[]{}:,'\"/a1 \n\\string", max_size=60))
def test_no_text_breaks_the_reader(source: str) -> None:
    with suppress(NodeInputError):
        assert to_json_schema(f"z.object({{{source}")["type"] == "object"
