import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';

const source = join(import.meta.dirname, '../../cli/run-until-signal.ts');

/** A process that runs `start` until it is told to end, and lives whatever becomes of that. */
async function run(start: string) {
  const code = `
    const { runUntilSignal } = await import(${JSON.stringify(source)});
    const log = { info: () => {}, warn: () => {} };
    setInterval(() => {}, 1000);
    const tell = (text) => process.stdout.write(text);
    await runUntilSignal(log, async () => { tell('starting '); ${start} }, 100);`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', code], { stdio: ['ignore', 'pipe', 'inherit'] });
  onTestFinished(() => void child.kill('SIGKILL'));
  let told = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (told += text));
  await once(child.stdout, 'data');
  const ended = once(child, 'close').then(([exitCode]) => ({ exitCode, told }));
  return { ended, signal: () => child.kill('SIGTERM') };
}

const closing = `{ close: async () => tell('closed') }`;

test('what runs is closed when it is told to end', async () => {
  const { ended, signal } = await run(`return ${closing};`);
  signal();
  expect(await ended).toEqual({ exitCode: 0, told: 'starting closed' });
});

test('a start that is told to end is closed once it is through', async () => {
  const { ended, signal } = await run(
    `await new Promise((resolve) => process.once('SIGTERM', resolve)); return ${closing};`,
  );
  signal();
  expect(await ended).toEqual({ exitCode: 0, told: 'starting closed' });
});

test('a start that does not come to its end keeps nobody waiting', async () => {
  const { ended, signal } = await run('return new Promise(() => {});');
  signal();
  expect(await ended).toEqual({ exitCode: 1, told: 'starting ' });
});
