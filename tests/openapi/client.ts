// A client that openapi-typescript made of the sample's document, used as a program of another team would. It is
// compiled with every check, so that a document that says less than it should does not get through.
import assert from "node:assert/strict";
import createClient from "openapi-fetch";
import type { components, paths } from "./schema.js";

const api = createClient<paths>({ baseUrl: process.argv[2]! });
const authorization = { Authorization: "Bearer secret" };

const chair: components["schemas"]["ProductInput"] = {
  name: "Chair",
  size: [1, 1],
  price: { amount: "12.50" },
  labels: {},
  extra: { anything: 1 },
};

const page = await api.GET("/products", { params: { query: { limit: 3, colour: ["red", "blue"] } } });
assert.equal(page.response.status, 200);
assert.equal(page.data!.total, 0);

// What does not fit does not compile, and is refused by the service, too.
// @ts-expect-error: a limit is a number
const wrong = await api.GET("/products", { params: { query: { limit: "many" } } });
assert.equal(wrong.response.status, 422);
assert.deepEqual(wrong.error!.errors![0]!.loc, ["query", "limit"]);

const refused = await api.POST("/products", { body: chair });
assert.equal(refused.response.status, 401);
assert.equal(refused.error!.status, 401);

const made = await api.POST("/products", { body: chair, headers: authorization });
assert.equal(made.response.status, 201);
assert.equal(made.data!.name, "Chair");
assert.equal(made.data!.price.currency, "EUR");
const size: number[] = made.data!.size;
assert.deepEqual(size, [1, 1]);

const id = "018f3c5e-0000-7000-8000-000000000000";
const gone = await api.DELETE("/products/{id}", { params: { path: { id } } });
assert.equal(gone.response.status, 204);

const login = await api.POST("/login", {
  body: { user: "ann", password: "secret" },
  bodySerializer: (body) => new URLSearchParams(body as Record<string, string>),
  headers: { "Content-Type": "application/x-www-form-urlencoded" },
});
assert.equal(login.response.status, 204);
console.log("every call was typed, and answered as the document says");
