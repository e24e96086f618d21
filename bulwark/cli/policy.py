"""policy deploy and policy show: the runtime policy, by AppConfig, gradually and with a way back."""

import math
import os
import time
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any

import typer

from bulwark.cli import render
from bulwark.cli.exits import Exit, Problem, command
from bulwark.cli.target import EndpointOption, JsonOption, StackOption, Target, reach
from bulwark.documents import Unreadable, document_of, read_text
from bulwark.rules import ROOT

# A guardrail reads 1,000 characters as a text unit, and an account has so many a second in most Regions, for each kind
# of filter (https://docs.aws.amazon.com/general/latest/gr/bedrock.html).
TEXT_UNITS_PER_SECOND = 25
_RUNNING = ("VALIDATING", "DEPLOYING", "BAKING", "ROLLING_BACK")


def register(app: typer.Typer) -> None:
    group = typer.Typer(no_args_is_help=True, rich_markup_mode="rich", help="Show and deploy the runtime policy.")
    command(group, "deploy")(deploy)
    command(group, "show")(show)
    app.add_typer(group, name="policy")


def deploy(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A document like policies/runtime.json.")],
    wait: Annotated[bool, typer.Option(help="Wait for the end of the deployment.")] = True,
    check: Annotated[bool, typer.Option(help="Check here first; else AppConfig's validator alone does.")] = True,
    as_json: JsonOption = False,
    stack: StackOption = None,
    endpoint: EndpointOption = None,
) -> None:
    """Check a runtime policy, and deploy it by the stack's strategy.

    Checked against policies/runtime.schema.json and for names that lead nowhere, here and again by AppConfig.
    It then grows to all requests by the stack's deployment strategy, and rolls back if too many requests
    fail. What is in force stays in force until then.

    \b
    bulwark policy deploy policies/runtime.json
    bulwark policy deploy policies/runtime.json --stack bulwark-prod --no-wait

    Ends with 4 if the document is refused, and with 1 if it was rolled back.
    """
    text, document = _read(file)
    if check:
        check_document(document)
    target = reach(stack, endpoint)
    number = _start(target, text)
    units = text_units(document)
    quota = {"text_units_per_second": units}
    if units > TEXT_UNITS_PER_SECOND and not as_json:
        render.say(
            f"Tenants may have {units} guardrail text units read a second, and more where texts are long; an account "
            f"has {TEXT_UNITS_PER_SECOND} in most Regions, beyond which requests wait: docs/first-deploy.md, Quotas."
        )
    if not wait:
        _tell({"deployment": number, "state": "STARTED"} | quota, as_json, f"Deployment {number} has started.")
        return
    ended = _wait(target, number, as_json)
    version = document["version"]
    if ended["State"] != "COMPLETE":
        why = next((event["Description"] for event in ended.get("EventLog", []) if event.get("Description")), "")
        raise Problem(f"Policy {version} is not in force: deployment {number} ended {ended['State']}. {why}".strip())
    told = {"deployment": number, "state": "COMPLETE", "version": version} | quota
    _tell(
        told,
        as_json,
        f"Policy [bold]{render.cell(version)}[/] is in force; functions take it up within half a minute.",
    )


def show(as_json: JsonOption = False, stack: StackOption = None, endpoint: EndpointOption = None) -> None:
    """Show the runtime policy in force.

    \b
    bulwark policy show
    bulwark policy show --json > before.json
    """
    target = reach(stack, endpoint)
    document = target.policy()
    if not document:
        raise Problem("No policy is in force.", "bulwark policy deploy policies/runtime.json", Exit.REFUSED)
    if as_json:
        render.print_json(document)
        return
    render.say(f"Policy [bold]{render.cell(document['version'])}[/] is in force in {render.cell(target.name)}")
    for deployment in _deployments(target)[:1]:
        render.say(f"Last deployment: {deployment['DeploymentNumber']}, {deployment['State']}")
    rows = [
        (
            name,
            " → ".join(use_case["models"]),
            use_case["risk_class"],
            use_case["confidence_threshold"],
            render.seconds(use_case["review"]["reviewer_sla_seconds"]),
            use_case["review"]["on_silence"],
        )
        for name, use_case in document["use_cases"].items()
    ]
    render.table(("!use case", "models", "risk", ">released from", ">review within", "silence means"), rows)
    rows = [
        (name, ", ".join(tenant["use_cases"]), tenant["requests_per_minute"], tenant["requests_in_flight"])
        for name, tenant in document["tenants"].items()
    ]
    render.table(("tenant", "use cases", ">a minute", ">at once"), rows)


def text_units(document: Any) -> int:
    """The fewest guardrail text units a second that tenants may use together: a question's, and its answer's."""
    return math.ceil(2 * sum(tenant["requests_per_minute"] for tenant in document["tenants"].values()) / 60)


def check_document(document: Any) -> None:
    """Refuse a document that breaks the schema or contradicts itself, by the very rules of the functions."""
    from adapters import schemas
    from domain.policy import Policy, PolicyInvalid

    before = os.environ.get("SCHEMAS_DIR")
    os.environ["SCHEMAS_DIR"] = str(ROOT / "policies")
    try:
        schemas.check_policy(document)
        Policy.from_json(document)
    except (schemas.SchemaViolated, PolicyInvalid) as error:
        raise Problem(f"The policy is refused: {error}", "Nothing was deployed.", Exit.REFUSED) from error
    finally:
        os.environ.pop("SCHEMAS_DIR")
        if before is not None:
            os.environ["SCHEMAS_DIR"] = before


def _read(file: Path) -> tuple[str, Any]:
    try:
        text = read_text(file)
        return text, document_of(text, file)
    except Unreadable as error:
        missing = isinstance(error.__cause__, OSError)
        raise Problem(f"The policy is refused: {error}", code=Exit.USAGE if missing else Exit.REFUSED) from error


def _start(target: Target, text: str) -> int:
    appconfig, outputs = target.client("appconfig"), target.outputs
    application, profile = outputs["PolicyApplicationId"], outputs["PolicyProfileId"]
    made: dict[str, Any] = {}
    try:
        made = appconfig.create_hosted_configuration_version(
            ApplicationId=application,
            ConfigurationProfileId=profile,
            Content=text.encode(),
            ContentType="application/json",
        )
        return appconfig.start_deployment(
            ApplicationId=application,
            EnvironmentId=outputs["PolicyEnvironmentId"],
            DeploymentStrategyId=outputs["PolicyDeploymentStrategyId"],
            ConfigurationProfileId=profile,
            ConfigurationVersion=str(made["VersionNumber"]),
        )["DeploymentNumber"]
    except appconfig.exceptions.ClientError as error:
        if made:
            # A profile has room for a hundred, and this one nobody deploys.
            with suppress(appconfig.exceptions.ClientError):
                appconfig.delete_hosted_configuration_version(
                    ApplicationId=application, ConfigurationProfileId=profile, VersionNumber=made["VersionNumber"]
                )
        raise _refusal(target, error) from error


def _refusal(target: Target, error: Any) -> Problem:
    code = error.response["Error"]["Code"]
    if code == "ConflictException":
        running = next((one for one in _deployments(target) if one["State"] in _RUNNING), None)
        number = f"deployment {running['DeploymentNumber']}" if running else "another deployment"
        return Problem(f"Not now: {number} is under way.", "Try again when it has ended.", Exit.REFUSED)
    said = "The policy is refused" if code == "BadRequestException" else "AppConfig did not take the policy"
    return Problem(f"{said}: {_reason(error)}", "Nothing was deployed.", Exit.REFUSED)


def _reason(error: Any) -> str:
    """What the validator said, where it said something."""
    found = error.response.get("Details", {}).get("InvalidConfiguration", [])
    return "; ".join(one["Reason"] for one in found if one.get("Reason")) or error.response["Error"]["Message"]


def _wait(target: Target, number: int, quiet: bool) -> dict:
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

    with Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        TaskProgressColumn(),
        console=render.console(),
        disable=quiet or not render.console().is_terminal,
    ) as bar:
        task = bar.add_task("Deploying", total=100)
        while True:
            now = target.client("appconfig").get_deployment(
                ApplicationId=target.outputs["PolicyApplicationId"],
                EnvironmentId=target.outputs["PolicyEnvironmentId"],
                DeploymentNumber=number,
            )
            state = now["State"].capitalize().replace("_", " ")
            bar.update(task, description=state, completed=float(now.get("PercentageComplete") or 0))
            if now["State"] not in _RUNNING:
                return now
            time.sleep(0.1 if target.is_local else 5)


def _deployments(target: Target) -> list[dict]:
    return target.client("appconfig").list_deployments(
        ApplicationId=target.outputs["PolicyApplicationId"],
        EnvironmentId=target.outputs["PolicyEnvironmentId"],
    )["Items"]


def _tell(told: dict, as_json: bool, sentence: str) -> None:
    render.print_json(told) if as_json else render.say(sentence)
