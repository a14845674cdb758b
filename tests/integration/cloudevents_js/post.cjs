// Posts reports with the official SDK in every mode, and reads records of a topic with it.
// Standard input: {"url", "api_key", "report", "records": [{"key", "headers", "value"}]}.
const { readFileSync } = require("node:fs");
const { createRequire } = require("node:module");
const { CloudEvent, HTTP, Kafka } = createRequire(process.argv[2])("cloudevents");

const given = JSON.parse(readFileSync(0, "utf8"));
const event = (id) =>
  new CloudEvent({
    id,
    type: "case.reported.v1",
    source: "https://js.example/app",
    datacontenttype: "application/json",
    data: given.report,
  });

async function post({ headers, body }) {
  const answer = await fetch(given.url, {
    method: "POST",
    headers: { ...headers, "X-Api-Key": given.api_key },
    body: typeof body === "string" ? body : JSON.stringify(body),
  });
  return { status: answer.status, body: await answer.json() };
}

async function main() {
  const batch = {
    headers: { "content-type": "application/cloudevents-batch+json" },
    body: JSON.stringify([event("js-1"), event("js-2")]),
  };
  const posted = {
    binary: await post(HTTP.binary(event("js-1"))),
    structured: await post(HTTP.structured(event("js-1"))),
    batched: await post(batch),
  };
  const read = given.records.map(({ key, headers, value }) => {
    const told = Kafka.toEvent({ key, headers, value: Buffer.from(value) });
    return { id: told.id, type: told.type, source: told.source, subject: told.subject, data: told.data };
  });
  process.stdout.write(JSON.stringify({ posted, read }));
}

main();
