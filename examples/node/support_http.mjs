#!/usr/bin/env node
// The support desk as a server: `type = "http"` in agents.toml, with the address this prints as its `url`.
//
// A turn a POST, its outcome the answer. With SUPPORT_TOKEN in the environment only those are served
// who send it (`headers = { authorization = "Bearer ${SUPPORT_TOKEN}" }`).

import { createHash, timingSafeEqual } from "node:crypto";
import { createServer } from "node:http";
import { parseArgs } from "node:util";

import { Refusal, turn } from "./support.mjs";

const TOKEN = process.env.SUPPORT_TOKEN;

/** What a request comes to: a status and a body. */
async function outcome(request) {
  const body = await text(request);
  if (TOKEN && !same(request.headers.authorization ?? "", `Bearer ${TOKEN}`)) {
    return [401, { message: "this is not the token" }];
  }
  try {
    return [200, await turn(JSON.parse(body))];
  } catch (why) {
    if (why instanceof Refusal) return [422, { message: why.message }]; // no other try will mend it
    console.error(why); // the worker tries again, and gives up after a few times
    return [500, { message: String(why.message ?? why) }];
  }
}

async function text(request) {
  let text = "";
  for await (const piece of request.setEncoding("utf8")) text += piece;
  return text;
}

/** Whether two words are the same, in a time that does not tell where they differ. */
function same(one, other) {
  const digest = (word) => createHash("sha256").update(word).digest();
  return timingSafeEqual(digest(one), digest(other));
}

const server = createServer(async (request, response) => {
  const [status, result] = await outcome(request);
  const body = Buffer.from(JSON.stringify(result));
  response.writeHead(status, { "content-type": "application/json", "content-length": body.length });
  response.end(body);
});
server.keepAliveTimeout = 120_000; // longer than the worker keeps a connection that nobody uses

const { port } = parseArgs({ options: { port: { type: "string", default: "8000" } } }).values;
server.listen(Number(port), "127.0.0.1", () => console.log(`http://127.0.0.1:${server.address().port}/turn`));
