import { type ChildProcess, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { takeTurn } from '../../kubelet/turn.ts';

const never = new AbortController().signal;
const options = { waitMs: 60_000, signal: never, isDone: () => false };

/** Another process that has the turn. */
async function holder(name: string): Promise<ChildProcess> {
  const code = `import { takeTurn } from ${JSON.stringify(join(import.meta.dirname, '../../kubelet/turn.ts'))};
    await takeTurn(${JSON.stringify(name)}, { waitMs: 1000, signal: new AbortController().signal, isDone: () => false });
    setInterval(() => {}, 1000);
    process.stdout.write('taken');`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', code], { stdio: ['ignore', 'pipe', 'inherit'] });
  onTestFinished(() => void child.kill('SIGKILL'));
  await once(child.stdout as NodeJS.ReadableStream, 'data');
  return child;
}

test('one has it, and the next one gets it when that is done', async () => {
  const name = randomUUID();
  const first = await takeTurn(name, options);
  const order: string[] = [];
  const second = takeTurn(name, options).then((turn) => {
    order.push('second');
    return turn;
  });
  const other = await takeTurn(randomUUID(), options);
  order.push('other');
  first?.release();
  expect(await second).toBeDefined();
  expect(order).toEqual(['other', 'second']);
  (await second)?.release();
  other?.release();
});

test('who waits is told when it is done, and needs no turn', async () => {
  const name = randomUUID();
  const first = await takeTurn(name, options);
  let isDone = false;
  const others = Array.from({ length: 50 }, () => takeTurn(name, { ...options, isDone: () => isDone }));
  isDone = true;
  first?.release();
  expect(await Promise.all(others)).toEqual(Array(50).fill(undefined));
});

test('a holder that is killed has it no more', async () => {
  const name = randomUUID();
  const child = await holder(name);
  const waiting = takeTurn(name, options);
  child.kill('SIGKILL');
  const turn = await waiting;
  expect(turn).toBeDefined();
  turn?.release();
});

test('a holder that is stopped is waited for so long, and no longer', async () => {
  const name = randomUUID();
  const child = await holder(name);
  child.kill('SIGSTOP');
  expect(await takeTurn(name, { ...options, waitMs: 200 })).toBeUndefined();
});

test('who is called away stops waiting', async () => {
  const name = randomUUID();
  const first = await takeTurn(name, options);
  const abort = new AbortController();
  const waiting = takeTurn(name, { ...options, signal: abort.signal });
  abort.abort(new Error('called away'));
  await expect(waiting).rejects.toThrow('called away');
  first?.release();
});
