"""PriceAnswer: what the answer cost, with the attempts before it."""

from domain.inference.answers import cost_of, cost_of_chain, recorded_attempts
from domain.inference.usage import line, lines_of
from inference.assess.assessment import Assessment


def price_answer(assessment: Assessment) -> Assessment:
    answer, models, attempts = assessment.answer, assessment.rules.models, assessment.event["attempts"]
    model, tokens = assessment.event["model"], (answer.input_tokens, answer.output_tokens)
    cost = cost_of(models[model], *tokens)
    return assessment.recording(
        {
            "attempts": recorded_attempts(attempts),
            "usage": [*lines_of(attempts), line(model, *tokens, answer.text_units, *answer.cached_tokens)],
            "input_tokens": answer.input_tokens,
            "output_tokens": answer.output_tokens,
            "cost_usd": cost_of_chain(models, attempts) + cost,
        }
    )
