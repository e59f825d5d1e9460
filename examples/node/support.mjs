// A small support desk: one turn in, its outcome out. It knows nothing of pipes, HTTP or Redis.
//
// `support_exec.mjs` runs it as a worker's own process, `support_http.mjs` as a server.

const ORDERS = new Map([["A-17", "on its way"], ["B-2", "waiting for payment"]]);

/** An error that no other try will mend. */
export class Refusal extends Error {}

/** Takes one turn: `params` is what the worker says, the result is what it makes durable. */
export async function turn(params) {
  const state = params.state ?? { name: null, messages: 0 };
  const { text } = params.message.body;
  if (typeof text !== "string") throw new Refusal('send text, such as {"text": "hello"}');
  state.messages += 1;

  const name = text.match(/my name is ([\p{L}\p{N}_]+)/iu)?.[1];
  if (name) {
    state.name = name;
    return { reply: { text: `Hello ${name}, how can I help?` }, state };
  }
  const order = text.match(/order ([\w-]+)/i)?.[1];
  if (order) return lookUp(order.toUpperCase(), params, state);

  if (text.toLowerCase().includes("forget me")) return { reply: { text: "Forgotten." }, state: null };

  const said = params.history.filter((entry) => entry.kind === "user").at(-1);
  const before = said ? `; before that you said "${said.body.text}"` : "";
  const reply = { text: `${state.name ?? "stranger"}, that was message ${state.messages}${before}` };
  return { reply, state };
}

/** A look into another system leaves its trace in the history, between message and reply. */
async function lookUp(order, params, state) {
  // The same for every run of this turn: the other system knows a repeat by it.
  const call = { tool: "orders", order, idempotency_key: params.key };
  const status = ORDERS.get(order) ?? "unknown";
  return {
    reply: { text: `Order ${order} is ${status}.` },
    state,
    append: [
      { kind: "tool_call", body: call },
      { kind: "tool_result", body: { order, status } },
    ],
  };
}
