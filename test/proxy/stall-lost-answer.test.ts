import { afterEach, expect, test } from 'vitest';
import { ephemeralSealingKeys } from '../../platform/sealing-keys.ts';
import { type CallOptions, call } from '../support/call.ts';
import { digestOf } from '../support/digest.ts';
import * as faults from '../support/faults.ts';
import { connectorTo, startProxy } from '../support/proxy.ts';
import { startRegistry } from '../support/registry.ts';

let stack = new AsyncDisposableStack();
afterEach(async () => {
  await stack.disposeAsync();
  stack = new AsyncDisposableStack();
});

const blob = Buffer.from('a blob of one piece');

test.each(['PATCH', 'PUT'])(
  'a step of an upload that the registry has done, and whose answer is lost, is not refused: %s',
  async (lost) => {
    const registry = stack.use(await startRegistry());
    const proxy = stack.use(
      await startProxy({ documents: connectorTo(registry.origin), sealing: ephemeralSealingKeys() }),
    );
    let location = proxy.url('team/app/blobs/uploads/');
    const step = async (method: string, options: CallOptions = {}, query = '') => {
      const answer = await call(`${location}${query}`, { method, ...options });
      location = new URL(answer.headers.location ?? '', proxy.origin).href;
      return answer;
    };
    await step('POST');
    registry.faults.add({ match: { method: lost }, times: 1, fault: faults.answerLost });
    const patched = await step('PATCH', { body: blob });
    // The caller is told that the step is done, or that nobody knows; never that it was wrong.
    expect([202, 502]).toContain(patched.status);
    if (patched.status === 502) return;
    expect([201, 502]).toContain((await step('PUT', {}, `?digest=${digestOf(blob)}`)).status);
  },
);
