import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdir } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { expect, test } from 'vitest';
import { makeFolder, run } from '../support/command.ts';

test('the demo pulls a private image without a credential, shows the refusal, and exits with 0', async () => {
  await using folder = await makeFolder();
  const { code, stdout, stderr } = await run(['demo'], '', { TMPDIR: folder.path });
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  expect(stdout).toMatch(/\+ {6}image: localhost:\d+\/namespaces\/demo\/connectors\/harbor\/team\/app:v1/);
  expect(stdout).toContain('was pulled without any credential: 4 digests checked');
  expect(stdout).toContain('is refused: 401 Unauthorized');
  expect(await leftIn(folder.path)).toEqual([]);
});

test.each<[string, number | undefined, (demo: Demo) => void]>([
  ['is told to end by SIGTERM', 143, (demo) => demo.kill('SIGTERM')],
  ['is told to end by SIGINT', 130, (demo) => demo.kill('SIGINT')],
  ['has no reader any more', undefined, (demo) => demo.stdout.destroy()],
])('a demo that %s leaves neither a process nor a credential behind', async (_name, expected, interrupt) => {
  await using folder = await makeFolder();
  const demo = startDemo(folder.path);
  const ended = once(demo, 'exit');
  const proxy = await proxyPortOf(demo);
  interrupt(demo);
  const [code] = await ended;
  if (expected !== undefined) expect(code).toBe(expected);
  expect(await leftIn(folder.path)).toEqual([]);
  // The system closes the sockets of a killed process a moment after the kill.
  await expect.poll(() => connectTo(proxy), { timeout: 10_000 }).toBe('ECONNREFUSED');
});

type Demo = ReturnType<typeof startDemo>;

function startDemo(temporary: string) {
  const main = join(import.meta.dirname, '../../cli/main.ts');
  const env = { ...process.env, TMPDIR: temporary };
  return spawn(process.execPath, [main, 'demo'], { env, stdio: ['ignore', 'pipe', 'ignore'] });
}

/** Resolves as soon as the demo says that the product runs. */
async function proxyPortOf(demo: Demo): Promise<number> {
  return new Promise((resolve, reject) => {
    const lines = createInterface({ input: demo.stdout });
    lines.on('line', (line) => {
      const port = /^2\. .*proxy 127\.0\.0\.1:(\d+)/.exec(line)?.[1];
      if (port !== undefined) resolve(Number(port));
    });
    lines.once('close', () => reject(new Error('the demo ended before its second step')));
  });
}

/** Node's own compile cache may lie there too. */
const leftIn = async (folder: string): Promise<string[]> =>
  (await readdir(folder)).filter((name) => name.startsWith('oci-connector-demo-'));

async function connectTo(port: number): Promise<string> {
  const socket = connect(port, '127.0.0.1');
  try {
    await once(socket, 'connect');
    return 'connected';
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? 'failed';
  } finally {
    socket.destroy();
  }
}
