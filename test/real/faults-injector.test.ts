import { once } from 'node:events';
import { Agent, createServer, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type CallResult, call } from '../support/call.ts';
import { type FaultInjector, startFaultInjector } from './support/fault-injector.ts';
import type { Fault } from './support/fault-plan.ts';

const content = Buffer.alloc(200_000, 'right ');
const whole = { status: 200, body: content, failure: undefined };
const broken = { failure: 'ECONNRESET' };

/** Bodies that the server has read to their end. */
let taken: number;
let fault: Fault;
let injector: FaultInjector;
let stack: AsyncDisposableStack;

beforeEach(async () => {
  stack = new AsyncDisposableStack();
  taken = 0;
  fault = { kind: 'none' };
  const server = createServer((asked, response) => {
    asked.resume();
    asked.on('end', () => {
      taken += 1;
      response.writeHead(200, { 'content-length': content.length }).end(content);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  stack.defer(async () => {
    server.close();
    server.closeAllConnections();
    await once(server, 'close');
  });
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const target = ({ url = '/' }) => ({ origin, path: url });
  injector = await startFaultInjector({ name: 'test', plan: { next: () => fault }, target });
  stack.defer(() => injector.close());
});
afterEach(() => stack.disposeAsync());

const faults: [Fault, Partial<CallResult>, number][] = [
  [{ kind: 'none' }, whole, 1],
  [{ kind: 'reset' }, { ...broken, status: undefined }, 0],
  [{ kind: 'close' }, { ...broken, status: undefined }, 0],
  [{ kind: 'closeWhenUsedAgain' }, whole, 1],
  [{ kind: 'answerLost' }, { ...broken, status: undefined }, 1],
  [{ kind: 'resetInRequest', bytes: 1000 }, { ...broken, status: undefined }, 0],
  [{ kind: 'resetInRequest', bytes: 1_000_000 }, whole, 1],
  [{ kind: 'resetInAnswer', bytes: 1000 }, { ...broken, status: 200 }, 1],
  [{ kind: 'truncated', bytes: 1000 }, { ...broken, status: 200, body: content.subarray(0, 1000) }, 1],
  [{ kind: 'truncated', bytes: 1_000_000 }, whole, 1],
  [{ kind: 'stalled', ms: 5 }, whole, 1],
  [{ kind: 'stalledInAnswer', bytes: 1000, ms: 5 }, whole, 1],
  [{ kind: 'silent', ms: 5 }, { ...broken, status: undefined }, 0],
  [{ kind: 'slow', pieceBytes: 50_000, everyMs: 1 }, whole, 1],
  [{ kind: 'status', status: 503, hasBody: false }, { status: 503, body: Buffer.alloc(0) }, 0],
  [{ kind: 'limited', retryAfterSeconds: 3 }, { status: 429 }, 0],
  [{ kind: 'unasked', afterMs: 0 }, whole, 1],
];

test.each(faults)('%j is inflicted', async (inflicted, expected, count) => {
  fault = inflicted;
  const body = Buffer.alloc(100_000);
  expect(await call(`${injector.origin}/`, { method: 'PUT', body })).toMatchObject(expected);
  expect(taken).toBe(count);
});

test('a connection that is used again ends, and one that is not does not', async () => {
  fault = { kind: 'closeWhenUsedAgain' };
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  stack.defer(() => agent.destroy());
  const ask = async () => {
    const asked = request(`${injector.origin}/`, { agent }).end();
    const [answer] = await once(asked, 'response');
    return Buffer.concat(await answer.toArray());
  };
  expect(await ask()).toEqual(content);
  await expect(ask()).rejects.toMatchObject({ code: 'ECONNRESET' });
});

test('who waits to be asked for a body is asked by the server itself', async () => {
  const asked = request(`${injector.origin}/`, { method: 'PUT', agent: false, headers: { expect: '100-continue' } });
  asked.flushHeaders();
  const answered = once(asked, 'response');
  await once(asked, 'continue');
  expect(taken).toBe(0);
  asked.end('body');
  expect((await answered)[0].statusCode).toBe(200);
});
