import { expect, onTestFinished, test } from 'vitest';
import { ask, headerOf, type Question, retryAfterOf } from '../../credentials/ask.ts';
import { RegistryTransport } from '../../platform/transport.ts';
import { type Fault, hanging, resetAfter, stalledAfter, status } from '../support/faults.ts';
import { startRegistry } from '../support/registry.ts';

async function start(fault: Fault) {
  const registry = await startRegistry({ faults: [{ fault }] });
  const transport = new RegistryTransport({ origin: registry.origin });
  onTestFinished(async () => {
    await transport.destroy();
    await registry.close();
  });
  const question: Question = { method: 'GET', url: new URL('/v2/?a=b', registry.origin) };
  return {
    registry,
    ask: (more: Partial<Question> = {}, signal = new AbortController().signal) =>
      ask(transport, { ...question, ...more }, signal),
  };
}

test('a question is sent as it is, under our name, and the answer held', async () => {
  const { registry, ask } = await start(status(418, { headers: { 'x-a': '1' }, body: 'täxt' }));
  const answer = await ask({ method: 'POST', headers: { 'content-type': 'text/plain' }, body: 'body' });
  expect(answer).toMatchObject({ status: 418, text: 'täxt', headers: { 'x-a': '1' } });
  expect(registry.requests).toMatchObject([
    { method: 'POST', url: '/v2/?a=b', headers: { 'user-agent': 'oci-connector', 'content-length': '4' } },
  ]);
});

test('no more than a MiB is read, and the connection is left', async () => {
  const { registry, ask } = await start(status(200, { body: 'x'.repeat(64 * 1024 * 1024) }));
  const { text } = await ask();
  expect(text.length).toBeLessThanOrEqual(1024 * 1024);
  await expect(registry.requests[0]?.ended).resolves.toBe('broken');
});

test('a body that breaks is an error', async () => {
  const { ask } = await start(resetAfter(1));
  await expect(ask({ url: new URL('http://x/') })).rejects.toMatchObject({ code: expect.stringMatching(/^UPSTREAM_/) });
});

test.each([hanging, stalledAfter(0)])('who asked may go: %o', async (fault) => {
  const { registry, ask } = await start(fault);
  const caller = new AbortController();
  const asked = ask({}, caller.signal);
  const { ended } = await registry.arrival(() => true);
  caller.abort(new Error('gone'));
  await expect(asked).rejects.toThrow('gone');
  await expect(ended).resolves.toBe('broken');
});

test('of a header that is repeated the first counts', () => {
  const headers = { a: ['1', '2'], b: '3', 'retry-after': '9' };
  expect([headerOf({ headers }, 'a'), headerOf({ headers }, 'b'), headerOf({ headers }, 'c')]).toEqual([
    '1',
    '3',
    undefined,
  ]);
  expect(retryAfterOf({ status: 429, text: '', headers })).toEqual({ 'retry-after': '9' });
  expect(retryAfterOf({ status: 429, text: '', headers: {} })).toEqual({});
});
