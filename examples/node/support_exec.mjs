#!/usr/bin/env node
// The support desk as a program of a worker's own: `type = "exec"` in agents.toml.
//
// A turn a line on standard input, its outcome a line on standard output (JSON-RPC 2.0). Whatever
// goes to standard error lands in the worker's log.

import { Refusal, turn } from "./support.mjs";

/** Takes turns, all at once, until the worker closes our input. */
async function serve(turn) {
  const underWay = new Set();

  const answer = (id, outcome) => {
    if (!underWay.delete(id)) return; // cancelled: nobody waits any more
    process.stdout.write(`${JSON.stringify({ jsonrpc: "2.0", id, ...outcome })}\n`);
  };

  const run = async (id, params) => {
    underWay.add(id);
    try {
      answer(id, { result: await turn(params) });
    } catch (why) {
      // The worker tries again, and gives up after a few times, unless it is told not to.
      if (!(why instanceof Refusal)) console.error(why);
      const data = { retry: !(why instanceof Refusal) };
      answer(id, { error: { code: 1, message: String(why.message ?? why), data } });
    }
  };

  for await (const line of lines(process.stdin)) {
    const { id, method, params } = JSON.parse(line);
    if (method === "turn") run(id, params);
    else if (method === "cancel") underWay.delete(params.id);
  }
  process.exit(0); // the worker has gone: what still runs here is run again elsewhere
}

/** Lines end with \n and nothing else; `readline` would also end them at U+2028, which JSON may hold. */
async function* lines(input) {
  let rest = "";
  for await (const piece of input.setEncoding("utf8")) {
    const whole = (rest + piece).split("\n");
    rest = whole.pop();
    yield* whole;
  }
}

await serve(turn);
