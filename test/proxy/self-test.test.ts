import { once } from 'node:events';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { selfTest } from '../../proxy/self-test.ts';
import { startProxy } from '../support/proxy.ts';

async function serve(listener: RequestListener): Promise<string> {
  const server = createServer(listener).listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => void server.close());
  return `127.0.0.1:${(server.address() as AddressInfo).port}`;
}

test('an agent is reached where it answers with our challenge', async () => {
  const proxy = await startProxy({ documents: [], callers: { identify: () => undefined } });
  onTestFinished(() => proxy.close());
  expect(await selfTest(`127.0.0.1:${proxy.port}`)).toBeUndefined();
  expect(await selfTest(`localhost:${proxy.port}`)).toBeUndefined();
});

test('whoever else answers there is named', async () => {
  const other = await serve((_request, response) => response.writeHead(200).end('a web server'));
  expect(await selfTest(other)).toBe(`${other} answers with 200, and is not this agent`);
  const registry = await serve((_request, response) =>
    response.writeHead(401, { 'www-authenticate': 'Basic realm="other"' }).end(),
  );
  expect(await selfTest(registry)).toBe(`${registry} answers with 401, and is not this agent`);
});

test('where nobody answers, that is said', async () => {
  expect(await selfTest('127.0.0.1:1')).toMatch(/^127\.0\.0\.1:1 cannot be reached from here: .*ECONNREFUSED/);
  const closing = await serve((request) => request.socket.destroy());
  expect(await selfTest(closing)).toContain('cannot be reached from here');
});
