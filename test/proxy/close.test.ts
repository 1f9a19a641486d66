import { expect, test } from 'vitest';
import { call } from '../support/call.ts';
import { digestOf } from '../support/digest.ts';
import { makeImage } from '../support/image.ts';
import { connectorTo, startProxy } from '../support/proxy.ts';
import { startRegistry } from '../support/registry.ts';

/** Handles that keep the process alive. It stands in a file of its own, where no other test opens any. */
const sockets = () => process.getActiveResourcesInfo().filter((name) => name.startsWith('TCP')).length;

test('no socket outlives a closed proxy', async () => {
  const before = sockets();
  const login = { username: 'robot', password: 'correct horse' };
  const registry = await startRegistry({ auth: { kind: 'token', ...login } });
  const image = registry.seed('team/app', makeImage(), ['v1']);
  const proxy = await startProxy({ documents: connectorTo(registry.origin, login) });
  const found = await call(proxy.url('team/app/manifests/v1'));
  expect(digestOf(found.body)).toBe(image.digest);
  expect(sockets()).toBeGreaterThan(before);
  await proxy.close();
  await registry.close();
  await expect.poll(sockets).toBe(before);
});
