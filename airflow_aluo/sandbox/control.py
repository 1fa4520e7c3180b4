"""The sandbox's own endpoints: look into the ledger, order faults, change settings and accounts."""

import asyncio
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Body, HTTPException, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from airflow_aluo.protocol.vocabulary import API_KEY_PREFIX, Plan
from airflow_aluo.sandbox.accounts import Account
from airflow_aluo.sandbox.asked import Upload
from airflow_aluo.sandbox.faults import Fault
from airflow_aluo.sandbox.pictures import NotAPicture
from airflow_aluo.sandbox.vendor import SandboxState

router = APIRouter(prefix="/sandbox")


class AccountChange(BaseModel):
    """What ``PUT /sandbox/accounts/{key}`` takes; what is left out stays."""

    model_config = ConfigDict(extra="forbid")

    plan: Plan | None = None
    #: Credits.
    balance: int | None = Field(default=None, ge=0)


class NewKey(BaseModel):
    """What ``POST /sandbox/accounts/{key}/rotate`` takes."""

    model_config = ConfigDict(extra="forbid")

    new_key: str = Field(pattern=f"^{API_KEY_PREFIX}")


@router.get("/ledger")
async def ledger(state: SandboxState, prompt: str | None = None) -> dict[str, Any]:
    """Every accepted edit, every call, every charge, and totals.

    ``prompt``: only of edits whose prompt holds this text.
    """
    state.settle()
    return state.book.as_json(state.settings.running_word, prompt)


@router.delete("/ledger")
async def empty_ledger(state: SandboxState) -> dict[str, Any]:
    """Start an empty ledger; accounts and running edits stay."""
    state.settle()
    state.book.forget()
    return state.book.as_json(state.settings.running_word)


@router.get("/settings")
async def settings(state: SandboxState) -> dict[str, Any]:
    """How the sandbox behaves now."""
    return state.settings.model_dump()


@router.put("/settings")
async def change_settings(
    state: SandboxState,
    changes: Annotated[dict[str, Any], Body()],
) -> dict[str, Any]:
    """Change some settings, for edits accepted from now on."""
    try:
        state.settings = state.settings.changed(changes)
    except ValidationError as error:
        raise RequestValidationError(error.errors(include_context=False)) from error
    return state.settings.model_dump()


@router.get("/faults")
async def faults(state: SandboxState) -> dict[str, Any]:
    """Return the faults that still wait for calls, and how many calls are held."""
    return {"faults": state.faults.as_json(), "held": state.gate.held}


@router.post("/faults", status_code=HTTPStatus.CREATED)
async def order_fault(state: SandboxState, fault: Fault) -> dict[str, Any]:
    """Order a fault."""
    return {"number": state.faults.add(fault)}


@router.delete("/faults")
async def clear_faults(state: SandboxState, prompt: str | None = None) -> dict[str, Any]:
    """Forget all faults, and return what is left; calls that are held stay held.

    ``prompt``: only those that are aimed at a prompt which holds this text.
    """
    state.faults.clear(prompt)
    return {"faults": state.faults.as_json(), "held": state.gate.held}


@router.post("/release")
async def release(state: SandboxState) -> dict[str, int]:
    """Let all held calls go."""
    return {"released": state.gate.release()}


@router.get("/accounts/{key:path}")
async def account(state: SandboxState, key: str) -> dict[str, Any]:
    """Return the account behind a key."""
    state.settle()
    found = state.accounts.find(key)
    if found is None:
        raise HTTPException(HTTPStatus.NOT_FOUND, "no account has this key")
    return _as_json(found)


@router.put("/accounts/{key:path}")
async def change_account(state: SandboxState, key: str, change: AccountChange) -> dict[str, Any]:
    """Open or change an account."""
    state.settle()
    return _as_json(state.accounts.put(key, plan=change.plan, balance=change.balance))


@router.delete("/accounts/{key:path}")
async def delete_key(state: SandboxState, key: str) -> dict[str, Any]:
    """Make a key worthless."""
    state.accounts.delete(key)
    return {}


@router.post("/accounts/{key:path}/rotate")
async def rotate_key(state: SandboxState, key: str, change: NewKey) -> dict[str, Any]:
    """Let a new key open an account, with all that it has; the old key is worthless at once."""
    state.settle()
    if not state.accounts.knows(key):
        raise HTTPException(HTTPStatus.NOT_FOUND, "no account has this key")
    if state.accounts.knows(change.new_key):
        raise HTTPException(HTTPStatus.CONFLICT, "the new key opens an account already: take another")
    return _as_json(state.accounts.rotate(key, change.new_key))


@router.post("/uploads", status_code=HTTPStatus.CREATED)
async def upload(state: SandboxState, request: Request) -> dict[str, str]:
    """Put a photo (the body, as it is) where the sandbox serves it; its address."""
    photo = Upload(field="body", filename="upload", data=await request.body())
    base = str(request.base_url).rstrip("/")
    try:
        kept = await asyncio.to_thread(state.keep, photo, base)
    except NotAPicture as error:
        raise HTTPException(HTTPStatus.BAD_REQUEST, str(error)) from error
    return {"url": kept.address}


def _as_json(one: Account) -> dict[str, Any]:
    return {
        "account": one.name,
        "plan": one.plan,
        "balance": one.balance,
        "reserved": one.reserved,
        "price": one.price,
    }
