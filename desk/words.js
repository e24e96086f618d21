// The API's codes in plain words.

const TEXTS = {
  LOW_CONFIDENCE: "Low confidence",
  GUARDRAIL_FINDING: "Guardrail finding",
  GUARDRAIL_UNAVAILABLE: "Guardrail unavailable",
  RISK_CLASS: "Always reviewed",
  MODEL_REFUSED: "Model refused",
  APPROVE: "Approved",
  EDIT: "Edited",
  REJECT: "Rejected",
  ESCALATE: "Escalated",
  CANNOT_JUDGE: "Could not judge",
  OPEN: "Open",
  reviewer: "Reviewer",
  second: "Second reader",
  lead: "Lead",
};

/** A code in words; an unknown one as it is, only easier to read. */
export function words(code) {
  if (TEXTS[code]) return TEXTS[code];
  const text = String(code).replaceAll("_", " ").toLowerCase();
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/** A use case's name as people say it. */
export const spoken = (useCase) => String(useCase).replaceAll("_", " ");

export const percent = (share, digits = 0) =>
  new Intl.NumberFormat("en", { style: "percent", maximumFractionDigits: digits }).format(share);

export const plural = (count, one, many = `${one}s`) => `${count} ${count === 1 ? one : many}`;

export const REASON_CODES = [
  ["WRONG", "Wrong", "it says something false"],
  ["UNGROUNDED", "Ungrounded", "the passages do not hold it"],
  ["UNSAFE", "Unsafe", "it could hurt somebody"],
  ["OFF_TOPIC", "Off topic", "it does not answer the question"],
  ["POLICY", "Policy", "it breaks a rule of ours"],
  ["OTHER", "Other", "say what in the comment"],
];

/** Why a review exists, to the person who reads it. */
export function whyHere({ reason, confidence, risk_class: risk }) {
  if (reason === "LOW_CONFIDENCE")
    return confidence === undefined
      ? "The answer’s estimated confidence is below what the policy asks for."
      : `The answer is estimated to be acceptable with ${percent(confidence)} probability: less than the policy asks for.`;
  if (reason === "GUARDRAIL_FINDING") return "The guardrail found something in the question or in the answer.";
  if (reason === "GUARDRAIL_UNAVAILABLE") return "The guardrail could not be reached, so nothing has checked this answer.";
  if (reason === "MODEL_REFUSED") return "The model declined to answer, and the policy asks for a person then.";
  if (reason === "RISK_CLASS") return `A person reads every answer of this use case: its risk class is ${risk}.`;
  return reason ? `${words(reason)}.` : "The policy asks for a person’s judgement.";
}

/** What happens when nobody decides, after "If nobody decides, ". */
export const SILENCE = {
  lead: "it goes to a lead",
  APPROVE: "the draft is released as it is",
  REJECT: "the answer is held back for good",
};

export const NEXT = {
  done: "It is final; the requester is told.",
  second: "A second reader looks at it next.",
  lead: "A lead decides next.",
  reviewer: "It goes back to the reviewers’ queue.",
};

/** What a breaching queue's policy gives, after "Until it is back in time, ". */
export const GIVES = {
  ask_less: "answers of slightly lower confidence are released",
  cache_only: "only answers already in the cache are given",
  refuse: "new requests are refused",
};

const SIGNALS = {
  grounding: "Held by the passages",
  relevance: "Answers the question",
  stated_confidence: "The model’s own estimate",
  retrieval: "Best passage’s score",
  refusal: "Sounds like a refusal",
  hedging: "Hedges",
  speaks_as_ai: "Speaks as an AI",
  asks_back: "Asks back",
  figures: "Has figures",
  tentative: "Share of tentative words",
  superlatives: "Share of superlatives",
  operators: "Maths signs",
  query_asks_fact: "Question asks for a fact",
  query_indefinite: "Question’s share of “a” and “an”",
  query_link: "Question has a link",
};
export const signalName = (signal) => SIGNALS[signal] ?? words(signal);

/** Landis and Koch's reading of Cohen's kappa. */
export function kappaWords(kappa) {
  if (kappa < 0) return "poor: worse than chance";
  const bounds = [[0.2, "slight"], [0.4, "fair"], [0.6, "moderate"], [0.8, "substantial"]];
  return bounds.find(([bound]) => kappa <= bound)?.[1] ?? "almost perfect";
}
