"""PriceAnswer: what the answer cost, with the attempts before it."""

from domain.inference.answers import cost_of, cost_of_chain
from inference.assess.assessment import Assessment


def price_answer(assessment: Assessment) -> Assessment:
    answer, models, attempts = assessment.answer, assessment.rules.models, assessment.event["attempts"]
    cost = cost_of(models[assessment.event["model"]], answer.input_tokens, answer.output_tokens)
    return assessment.recording(
        {
            "attempts": attempts,
            "input_tokens": answer.input_tokens,
            "output_tokens": answer.output_tokens,
            "cost_usd": cost_of_chain(models, attempts) + cost,
        }
    )
