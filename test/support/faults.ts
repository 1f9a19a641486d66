import { digestOf } from './digest.ts';
import { type Answer, type AnswerBody, type AnswerHeaders, bytesAnswer, type HttpAnswer } from './registry/answer.ts';
import { type Exchange, readSome } from './registry/exchange.ts';

/** One way in which a server can go wrong. */
export interface Fault {
  /** Appears in the record of each request that met the fault. */
  readonly name: string;
  /** Makes the faulty answer; the right one is only worked out when `answer` is called. */
  inflict(answer: () => Promise<HttpAnswer>, exchange: Exchange): Promise<Answer>;
}

/** What a matcher can go by. */
export interface FaultTarget {
  readonly method: string;
  readonly path: string;
  readonly exchange: Exchange;
  /** Whether the server would let the request in: false for one that gets a challenge. */
  readonly isAuthorized: boolean;
}

export interface FaultPattern {
  readonly method?: string | RegExp;
  /** Of the path without the query: the whole of it, or what the expression finds. */
  readonly path?: string | RegExp;
  /** True: leave the requests alone that get a challenge anyway. Absent: all requests. */
  readonly isAuthorized?: boolean;
}

export interface FaultRule {
  /** Absent: every request. */
  readonly match?: FaultPattern | ((target: FaultTarget) => boolean);
  /** How many matching requests go well before the fault sets in, by default 0. */
  readonly skip?: number;
  /** How many requests meet the fault, by default all. */
  readonly times?: number;
  readonly fault: Fault;
}

/** Which requests meet which fault. The first rule that matches and is not used up decides. */
export class FaultPlan {
  #rules: { rule: FaultRule; seen: number }[] = [];

  constructor(rules: readonly FaultRule[] = []) {
    for (const rule of rules) this.add(rule);
  }

  /** Adds a rule behind the others; call the result to withdraw it. */
  add(rule: FaultRule): () => void {
    const entry = { rule, seen: 0 };
    this.#rules.push(entry);
    return () => {
      this.#rules = this.#rules.filter((other) => other !== entry);
    };
  }

  clear(): void {
    this.#rules = [];
  }

  /** The fault for this request, which counts as met. */
  take(target: FaultTarget): Fault | undefined {
    for (const entry of this.#rules) {
      const { match = {}, skip = 0, times = Number.POSITIVE_INFINITY, fault } = entry.rule;
      const isUsedUp = entry.seen >= skip + times;
      if (isUsedUp || !(typeof match === 'function' ? match(target) : fits(match, target))) continue;
      entry.seen += 1;
      if (entry.seen > skip) return fault;
    }
    return undefined;
  }
}

function fits(pattern: FaultPattern, target: FaultTarget): boolean {
  return (
    fitsText(pattern.method, target.method) &&
    fitsText(pattern.path, target.path) &&
    (pattern.isAuthorized === undefined || pattern.isAuthorized === target.isAuthorized)
  );
}

function fitsText(expected: string | RegExp | undefined, actual: string): boolean {
  if (expected === undefined) return true;
  return typeof expected === 'string' ? expected === actual : actual.search(expected) >= 0;
}

// Connections that break.

/** The connection is reset (RST) before a byte of the answer. */
export const resetBeforeHeaders: Fault = {
  name: 'resetBeforeHeaders',
  inflict: async () => ({ raw: '', ending: 'reset' }),
};

/** The connection is closed (FIN) before a byte of the answer. */
export const closedBeforeHeaders: Fault = {
  name: 'closedBeforeHeaders',
  inflict: async () => ({ raw: '', ending: 'close' }),
};

/** The request takes effect, but the connection is reset before its answer. */
export const answerLost: Fault = {
  name: 'answerLost',
  inflict: async (answer) => {
    await answer();
    return { raw: '', ending: 'reset' };
  },
};

/** Right headers, the first `bytes` of the body, then a reset (RST). */
export const resetAfter = (bytes: number): Fault =>
  changing(`resetAfter(${bytes})`, (answer) => cut(answer, bytes, 'reset'));

/** Right headers, the first `bytes` of the body, then an orderly close (FIN): less than Content-Length says. */
export const truncatedAfter = (bytes: number): Fault =>
  changing(`truncatedAfter(${bytes})`, (answer) => cut(answer, bytes, 'close'));

/** The connection is reset once `bytes` of the request body have been read. */
export const resetUploadAfter = (bytes: number): Fault => ({
  name: `resetUploadAfter(${bytes})`,
  inflict: async (_answer, exchange) => {
    await readSome(exchange, bytes);
    return { raw: '', ending: 'reset' };
  },
});

// Servers that are slow.

/** The right answer, `milliseconds` late. */
export const delayed = (milliseconds: number): Fault => ({
  name: `delayed(${milliseconds})`,
  inflict: async (answer, exchange) => {
    await exchange.clock.sleep(milliseconds, exchange.signal);
    return answer();
  },
});

/** No byte of an answer until one side closes. */
export const hanging: Fault = { name: 'hanging', inflict: async () => ({ raw: '', ending: 'hang' }) };

/** Right headers, the first `bytes` of the body, then silence until one side closes. */
export const stalledAfter = (bytes: number): Fault =>
  changing(`stalledAfter(${bytes})`, (answer) => cut(answer, bytes, 'hang'));

/** The right answer, of which all that is beyond `bytes` comes when the promise is fulfilled. */
export const stoppedAfter = (bytes: number, goOn: Promise<void>): Fault =>
  changing(`stoppedAfter(${bytes})`, (answer) => ({ ...answer, body: interrupted(answer.body ?? [], bytes, goOn) }));

async function* interrupted(
  body: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  bytes: number,
  goOn: Promise<void>,
) {
  let sent = 0;
  for await (const chunk of body) {
    const first = chunk.subarray(0, Math.max(0, bytes - sent));
    if (first.length > 0) yield first;
    sent += first.length;
    if (first.length === chunk.length) continue;
    await goOn;
    yield chunk.subarray(first.length);
  }
}

/** The right answer, its body in pieces of `bytes` with a pause of `everyMs` after each. */
export const slowBody = ({ bytes, everyMs }: { bytes: number; everyMs: number }): Fault =>
  changing(`slowBody(${bytes} every ${everyMs} ms)`, (answer, exchange) => ({
    ...answer,
    body: dripped(answer.body ?? [], bytes, () => exchange.clock.sleep(everyMs, exchange.signal)),
  }));

/** The server reads no more once it has `bytes` of the request body, and answers nothing. */
export const stalledUploadAfter = (bytes: number): Fault => ({
  name: `stalledUploadAfter(${bytes})`,
  inflict: async (_answer, exchange) => {
    await readSome(exchange, bytes);
    return { raw: '', ending: 'hang' };
  },
});

// Servers that answer something else.

export interface StatusOptions {
  /** Header names in lower case. */
  readonly headers?: AnswerHeaders;
  /** By default an OCI error body for 400 and above, else nothing. */
  readonly body?: string;
  /** The code in the OCI error body, by default `UNAVAILABLE`. */
  readonly code?: string;
}

/** This status instead of the right answer; the request takes no effect. */
export const status = (status: number, { headers = {}, body, code = 'UNAVAILABLE' }: StatusOptions = {}): Fault => ({
  name: `status(${status})`,
  inflict: async () => {
    const error = JSON.stringify({ errors: [{ code, message: `status ${status} by a fault` }] });
    const text = body ?? (status >= 400 ? error : '');
    return bytesAnswer(status, { 'content-type': 'application/json', ...headers }, text);
  },
});

/** 429 as Docker Hub sends it. */
export const tooManyRequests = (retryAfterSeconds: number): Fault =>
  status(429, {
    code: 'TOOMANYREQUESTS',
    headers: {
      'retry-after': String(retryAfterSeconds),
      'ratelimit-limit': '100;w=21600',
      'ratelimit-remaining': '0;w=21600',
    },
  });

/** A redirect to `url` instead of the right answer. */
export const redirectedTo = (url: string, code = 307): Fault => ({
  ...status(code, { headers: { location: url } }),
  name: `redirectedTo(${url})`,
});

/** A redirect to the very URL that was asked for. */
export const redirectLoop: Fault = {
  name: 'redirectLoop',
  inflict: async (_answer, { url }) => bytesAnswer(307, { location: `${url.origin}${url.pathname}${url.search}` }, ''),
};

/** Bytes that are no HTTP, then a close. */
export const malformedAnswer = (raw = '\x00\x01\x02 this is no HTTP\r\n\r\n'): Fault => ({
  name: 'malformedAnswer',
  inflict: async () => ({ raw, ending: 'close' }),
});

/** The right answer with this many bytes of further headers. Node refuses more than 16 KiB, Go more than 1 MiB. */
export const hugeHeaders = (bytes: number): Fault =>
  changing(`hugeHeaders(${bytes})`, (answer) => ({
    ...answer,
    headers: { ...answer.headers, 'x-padding': 'x'.repeat(bytes) },
  }));

// Answers with something wrong in them.

/** The right answer under another status. */
export const withStatus = (status: number): Fault =>
  changing(`withStatus(${status})`, (answer) => ({ ...answer, status }));

/** The right answer with these headers (names in lower case) added or replaced; undefined takes one away. */
export const withHeaders = (headers: Readonly<Record<string, string | readonly string[] | undefined>>): Fault =>
  changing(`withHeaders(${Object.keys(headers)})`, (answer) => ({
    ...answer,
    headers: Object.fromEntries(
      Object.entries({ ...answer.headers, ...headers }).filter((entry) => entry[1] !== undefined),
    ) as AnswerHeaders,
  }));

/** The right bytes under a Docker-Content-Digest that is not theirs. */
export const wrongDigestHeader: Fault = {
  ...withHeaders({ 'docker-content-digest': digestOf('something else') }),
  name: 'wrongDigestHeader',
};

/** The right headers and length, with every bit of the first body byte turned round. */
export const corruptedBytes: Fault = changing('corruptedBytes', (answer) => ({
  ...answer,
  body: corrupted(answer.body ?? []),
}));

function changing(name: string, change: (answer: HttpAnswer, exchange: Exchange) => HttpAnswer): Fault {
  return { name, inflict: async (answer, exchange) => change(await answer(), exchange) };
}

function cut(answer: HttpAnswer, bytes: number, ending: 'reset' | 'close' | 'hang'): HttpAnswer {
  return { ...answer, body: firstBytes(answer.body ?? [], bytes), ending };
}

async function* firstBytes(body: AnswerBody, bytes: number): AsyncGenerator<Uint8Array> {
  let left = bytes;
  if (left === 0) return;
  for await (const chunk of body) {
    yield chunk.subarray(0, left);
    left -= chunk.length;
    if (left <= 0) return;
  }
}

async function* dripped(body: AnswerBody, bytes: number, pause: () => Promise<void>): AsyncGenerator<Uint8Array> {
  for await (const chunk of body) {
    for (let at = 0; at < chunk.length; at += bytes) {
      yield chunk.subarray(at, at + bytes);
      await pause();
    }
  }
}

async function* corrupted(body: AnswerBody): AsyncGenerator<Uint8Array> {
  let isFirst = true;
  for await (const chunk of body) {
    if (!isFirst || chunk.length === 0) {
      yield chunk;
      continue;
    }
    isFirst = false;
    const copy = Uint8Array.from(chunk);
    copy[0] = 0xff ^ (copy[0] ?? 0);
    yield copy;
  }
}
