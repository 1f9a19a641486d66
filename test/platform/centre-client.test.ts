import { once } from 'node:events';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Agent } from 'undici';
import { expect, onTestFinished, test } from 'vitest';
import { CentreClient } from '../../platform/centre/client.ts';

const { signal } = new AbortController();

async function clientOf(listener: RequestListener): Promise<CentreClient> {
  const server = createServer(listener).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const dispatcher = new Agent();
  onTestFinished(async () => {
    await dispatcher.destroy();
    server.closeAllConnections();
    server.close();
  });
  const centre = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return new CentreClient({ centre, dispatcher, agentToken: () => 'token-of-the-agent' });
}

test('a question is asked with the token of the agent, and its answer is read', async () => {
  const client = await clientOf((request, response) => response.end(JSON.stringify(request.headers.authorization)));
  expect(await client.ask('POST', '/v1/x', {}, signal)).toBe('Bearer token-of-the-agent');
});

test('an answer that does not end is broken off, and is none', async () => {
  const closed = Promise.withResolvers<void>();
  const client = await clientOf((_request, response) => {
    const more = (): void => {
      while (!response.destroyed && response.write('x'.repeat(65_536))) {}
    };
    response.on('drain', more).on('close', () => closed.resolve());
    more();
  });
  const asked = client.ask('GET', '/v1/x', undefined, signal);
  await expect(asked).rejects.toMatchObject({ code: 'CENTRE_UNREACHABLE' });
  await closed.promise;
});

test.each([
  ['{"code":"ACCESS_DENIED","message":"no"}', 403, 'ACCESS_DENIED'],
  ['{"code":"NO_SUCH_CODE","message":"no"}', 403, 'CENTRE_UNREACHABLE'],
  ['<html>', 502, 'CENTRE_UNREACHABLE'],
  ['<html>', 200, 'CENTRE_UNREACHABLE'],
])('%s with %d is %s', async (body, status, code) => {
  const client = await clientOf((_request, response) => response.writeHead(status).end(body));
  await expect(client.ask('GET', '/v1/x', undefined, signal)).rejects.toMatchObject({ code });
});
