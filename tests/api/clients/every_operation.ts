// A day at the desk through openapi-fetch, with the types that openapi-typescript makes, each operation of the API at
// least once. Says at the end, as JSON, which operations it did.

import createClient, { type Middleware } from "openapi-fetch";
import type { components, paths } from "./description.js";

declare const process: { env: Record<string, string | undefined> };

function needed(name: string): string {
  const value = process.env[name];
  if (!value) throw new Error(`${name} is not set`);
  return value;
}

function check(holds: boolean, what: string): asserts holds {
  if (!holds) throw new Error(what);
}

const done = new Set<string>();
let token = "";
const middleware: Middleware = {
  onRequest({ request }) {
    if (token) request.headers.set("Authorization", `Bearer ${token}`);
    return request;
  },
  onResponse({ request, response, schemaPath }) {
    if (response.ok) done.add(`${request.method} ${schemaPath}`);
  },
};
const desk = createClient<paths>({ baseUrl: needed("FRONT_DESK") });
desk.use(middleware);

/** The answer of an operation that went well. */
function good<T>(answer: { data?: T; error?: unknown; response: Response }): T {
  if (answer.data === undefined) {
    throw new Error(`${answer.response.status} ${answer.response.url}: ${JSON.stringify(answer.error)}`);
  }
  return answer.data;
}

// --- signing in
const username = needed("FRONT_DESK_USERNAME");
const first = good(
  await desk.POST("/api/v1/auth/login/", { body: { username, password: needed("FRONT_DESK_PASSWORD") } }),
);
const wrong = await desk.POST("/api/v1/auth/login/", { body: { username, password: "not this one" } });
check(wrong.response.status === 401 && wrong.data === undefined, "a wrong password is refused");
const pair = good(await desk.POST("/api/v1/auth/refresh/", { body: { refresh: first.refresh } }));
token = pair.access;

// --- registering
const form: components["schemas"]["Registration"] = {
  first_name: "Typed",
  last_name: "Client",
  phone: "0712345678",
  create_portal_account: true,
  portal_email: "typed.client@example.org",
};
const once = { params: { header: { "Idempotency-Key": "typescript-1" } }, body: form };
const made = good(await desk.POST("/api/v1/patients/", once));
check(made.portal_credentials?.temporary_password?.length === 12, "the password is in the first answer");
const again = good(await desk.POST("/api/v1/patients/", once));
check(again.patient.id === made.patient.id, "a repeated request registers nobody else");
check(again.portal_credentials?.temporary_password === null, "and shows no password");
check(again.portal_credentials.already_issued === true, "and says so");
const refused = await desk.POST("/api/v1/patients/", { body: { ...form, portal_email: null } });
check(
  refused.error !== undefined &&
    "errors" in refused.error &&
    refused.error.errors?.["portal_email"] === "Email is required when creating a patient portal account.",
  "a refusal names the field",
);
const id = String(made.patient.id);
const one = { params: { path: { id } } };

// --- finding and reading
const listed = good(await desk.GET("/api/v1/patients/", { params: { query: { search: "typed client", page_size: 5 } } }));
check(listed.count === 1 && listed.results[0]?.id === made.patient.id, "the list finds the patient");
const found = good(
  await desk.GET("/api/v1/patients/search/", { params: { query: { q: made.patient.patient_id } } }),
);
check(found.count === 1, "the search finds the patient");
const quietly = good(await desk.POST("/api/v1/patients/search/", { body: { q: "typed" } }));
check(quietly.results[0]?.patient_id === made.patient.patient_id, "so does the private search");
const seen = good(await desk.GET("/api/v1/patients/{id}/", one));
check(seen.portal_username === "typed.client@example.org", "the record names the username");

// --- editing: one field, and the others stay as they were
const edited = good(await desk.PATCH("/api/v1/patients/{id}/", { ...one, body: { phone: "0722000111" } }));
check(edited.phone === "0722000111" && edited.first_name === "Typed" && edited.last_name === "Client", "one field");
const emptied = good(
  await desk.PATCH("/api/v1/patients/{id}/", { ...one, body: { phone: null, version: edited.version } }),
);
check(emptied.phone === null, "null empties a field");
const late = await desk.PATCH("/api/v1/patients/{id}/", { ...one, body: { address: "A", version: edited.version } });
check(late.response.status === 409, "an edit of an older version is refused");

// --- verifying
check(good(await desk.GET("/api/v1/patients/pending-verification/", {})).count === 0, "nobody waits");
check(good(await desk.POST("/api/v1/patients/{id}/verify/", one)).patient.id === made.patient.id, "verified");

// --- portal access
const register = async (body: components["schemas"]["Registration"]) =>
  good(await desk.POST("/api/v1/patients/", { body })).patient;
const plain = await register({ first_name: "Later", last_name: "Access" });
const many = await register({ first_name: "Many", last_name: "Atonce", email: "many.typed@example.org" });
const later = { params: { path: { id: plain.patient_id } } };
const given = good(
  await desk.POST("/api/v1/patients/{id}/create-portal/", { ...later, body: { email: "later.typed@example.org" } }),
);
const exists = await desk.POST("/api/v1/patients/{id}/create-portal/", {
  ...later,
  body: { email: "later.typed@example.org" },
});
check(
  exists.error !== undefined &&
    "existing_username" in exists.error &&
    exists.error.existing_username === "later.typed@example.org",
  "the refusal names the username",
);
const reset = good(await desk.POST("/api/v1/patients/{id}/reset-portal-password/", later));
check(reset.credentials.temporary_password !== given.credentials.temporary_password, "another password");
const renamed = good(
  await desk.POST("/api/v1/patients/{id}/change-portal-username/", {
    ...later,
    body: { email: "other.typed@example.org" },
  }),
);
check(renamed.credentials.username === "other.typed@example.org", "another username");
const invited = good(await desk.POST("/api/v1/patients/{id}/resend-invitation/", later));
check(invited.deliveries[0]?.address === "other.typed@example.org", "sent again");
const off = await desk.POST("/api/v1/patients/{id}/disable-portal/", { ...later, body: { reason: "ASKED" } });
check(!good(off).patient.portal_enabled, "off");
check(good(await desk.POST("/api/v1/patients/{id}/enable-portal/", later)).patient.portal_enabled, "on");
const run = good(
  await desk.POST("/api/v1/patients/bulk-create-portal/", { body: { patient_ids: [plain.id, many.patient_id] } }),
);
check(run.created === 1 && run.failed === 1 && run.results[1]?.success === true, "each by itself");

// --- one person, twice
const twin = { first_name: "Zawadi", last_name: "Okemwa", date_of_birth: "1990-01-15", phone: "0733100400" };
const oldest = good(await desk.POST("/api/v1/patients/", { body: twin })).patient;
const held = await desk.POST("/api/v1/patients/", { body: twin });
check(held.response.status === 409, "the second waits for a decision");
const second = good(await desk.POST("/api/v1/patients/", { body: { ...twin, allow_duplicate: true } })).patient;
const [ofFirst, ofSecond] = [oldest, second].map((patient) => ({ params: { path: { id: String(patient.id) } } })) as [
  { params: { path: { id: string } } },
  { params: { path: { id: string } } },
];
good(await desk.GET("/api/v1/patients/{id}/duplicates/", ofFirst));
const apart = { ...ofFirst, body: { other: second.patient_id } };
check(good(await desk.POST("/api/v1/patients/{id}/not-a-duplicate/", apart)).success, "two people");
const merge = { ...ofSecond, body: { into: oldest.patient_id } };
check(good(await desk.POST("/api/v1/patients/{id}/merge/", merge)).patient.id === oldest.id, "merged");
check(good(await desk.POST("/api/v1/patients/{id}/undo-merge/", ofSecond)).patient.id === second.id, "and put back");

// --- the trail, and the way out
const trail = good(
  await desk.GET("/api/v1/audit/", { params: { query: { patient: made.patient.patient_id, page_size: 100 } } }),
);
check(trail.results.some((event) => event.action === "PATIENT_UPDATED"), "the edit is in the trail");
check(good(await desk.POST("/api/v1/auth/logout/", { body: {} })).success, "signed out");
check((await desk.GET("/api/v1/patients/{id}/", one)).response.status === 401, "and nothing is open any more");

console.log(JSON.stringify([...done].sort()));
