import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type RequestListener } from 'node:http';
import { createServer as createTcpServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeEach, expect, onTestFinished, test } from 'vitest';
import { probe } from '../../cli/probe.ts';
import { buildManagement } from '../../platform/management.ts';
import { createMetrics } from '../../platform/metrics.ts';

let socket: string;
beforeEach(async () => {
  const folder = await mkdtemp(join(tmpdir(), 'probe-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  socket = join(folder, 'management.sock');
});

async function ask(path = '/readyz') {
  const told: string[] = [];
  return { code: await probe(socket, path, (text) => told.push(text)), told };
}

async function serve(server: ReturnType<typeof createServer>) {
  server.listen(socket);
  await once(server, 'listening');
  onTestFinished(() => {
    server.close();
    server.closeAllConnections?.();
  });
}

test('a process that is ready answers 0, and one that is not says why', async () => {
  const reasons: string[] = [];
  await serve(buildManagement({ metrics: createMetrics(), notReady: () => reasons }));
  expect(await ask()).toEqual({ code: 0, told: [] });
  expect(await ask('/livez')).toEqual({ code: 0, told: [] });
  reasons.push('the centre does not answer');
  expect(await ask()).toEqual({ code: 1, told: ['the centre does not answer\n'] });
  expect(await ask('/livez')).toMatchObject({ code: 0 });
  expect(await ask('/other')).toMatchObject({ code: 1 });
  expect(await ask('/metrics')).toEqual({ code: 0, told: [expect.stringContaining('process_cpu_seconds_total')] });
});

test('nobody there is a failure, with the socket’s name', async () => {
  expect(await ask()).toMatchObject({ code: 1, told: [expect.stringContaining(socket)] });
});

test.each<[string, RequestListener]>([
  ['goes away', (request) => request.socket.destroy()],
  ['says nothing of why', (_request, response) => response.writeHead(503, { 'content-length': 0 }).end()],
  ['redirects', (_request, response) => response.writeHead(302, { location: '/livez' }).end()],
])('who answers and %s has not answered', async (_what, listener) => {
  await serve(createServer(listener));
  expect(await ask()).toMatchObject({ code: 1 });
});

test('who accepts and never answers is not waited for', { timeout: 10_000 }, async () => {
  await serve(createTcpServer(() => {}) as unknown as ReturnType<typeof createServer>);
  expect(await ask()).toMatchObject({ code: 1, told: [expect.stringContaining('no answer')] });
});

test('it is a program by itself', async () => {
  await serve(buildManagement({ metrics: createMetrics(), notReady: () => [] }));
  const run = (...args: string[]) =>
    new Promise<number>((resolve) => {
      execFile(process.execPath, [join(import.meta.dirname, '../../cli/probe.ts'), ...args], (error) =>
        resolve(Number(error?.code ?? 0)),
      );
    });
  expect(await run('--socket', socket)).toBe(0);
  expect(await run('--socket', socket, '--path', '/other')).toBe(1);
  expect(await run('--socket', `${socket}.none`)).toBe(1);
});
