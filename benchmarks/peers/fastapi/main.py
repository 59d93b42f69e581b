"""The cases as a FastAPI user writes them: typed, validated, with response models."""
from enum import Enum
from typing import Annotated

from fastapi import FastAPI
from fastapi.responses import PlainTextResponse
from pydantic import BaseModel, Field

app = FastAPI()


class Message(BaseModel):
    message: str


class Customer(BaseModel):
    name: Annotated[str, Field(min_length=1, max_length=100)]
    email: Annotated[str, Field(min_length=3, max_length=254)]
    phone: str | None = None


class Address(BaseModel):
    street: Annotated[str, Field(min_length=1, max_length=200)]
    city: Annotated[str, Field(min_length=1, max_length=100)]
    postcode: Annotated[str, Field(min_length=2, max_length=12)]
    country: Annotated[str, Field(min_length=2, max_length=2)]


class Line(BaseModel):
    sku: Annotated[str, Field(min_length=3, max_length=20)]
    title: Annotated[str, Field(min_length=1, max_length=200)]
    quantity: Annotated[int, Field(ge=1, le=10_000)]
    price: Annotated[float, Field(ge=0)]
    tags: list[str] = []


class Priority(str, Enum):
    economy = "economy"
    standard = "standard"
    express = "express"


class Order(BaseModel):
    reference: Annotated[str, Field(min_length=1, max_length=40)]
    customer: Customer
    shipping: Address
    lines: Annotated[list[Line], Field(min_length=1, max_length=100)]
    priority: Priority = Priority.standard
    gift: bool = False
    note: str | None = None


class Receipt(BaseModel):
    reference: str
    customer: str
    lines: int
    units: int
    total: float
    status: str


@app.get("/plaintext", response_class=PlainTextResponse)
async def plaintext() -> str:
    return "Hello, World!"


@app.get("/json")
async def json() -> Message:
    return Message(message="Hello, World!")


@app.post("/order")
async def order(order: Order) -> Receipt:
    return Receipt(
        reference=order.reference,
        customer=order.customer.name,
        lines=len(order.lines),
        units=sum(line.quantity for line in order.lines),
        total=sum(line.quantity * line.price for line in order.lines),
        status="accepted",
    )
