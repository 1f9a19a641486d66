import { Writable } from 'node:stream';
import { describe, expect, test } from 'vitest';
import { createLogger, type LogLevel } from '../../platform/logger.ts';

const canary = 'canary-7f3a';

function open(level: LogLevel = 'info') {
  const lines: string[] = [];
  const destination = new Writable({
    write: (chunk, _encoding, done) => {
      lines.push(String(chunk));
      done();
    },
  });
  return { lines, log: createLogger({ level, isPretty: false }, destination) };
}

describe('what may be a credential is never logged', () => {
  const names =
    'authorization Authorization proxy-authorization cookie set-cookie password token access_token refresh_token identitytoken auth secret key';
  test.each(names.split(' '))('%s', (name) => {
    const { lines, log } = open();
    const held = { [name]: canary };
    log.info(held, 'at the top');
    log.info({ request: held, headers: { nested: held } }, 'below');
    log.child(held).warn('of a child');
    log.error({ err: Object.assign(new Error('failed'), held) }, 'on an error');
    log.info({ grant: { [name]: { deep: canary, list: [canary] } } }, 'with more in it');
    expect(lines).toHaveLength(5);
    expect(lines.join('')).not.toContain(canary);
  });
});

test('lines are JSON with time, level, message and the causes of an error', () => {
  const { lines, log } = open();
  log.error({ err: new Error('outer', { cause: new Error('inner') }), audit: true }, 'failed');
  const line = JSON.parse(lines[0] ?? '');
  expect(line).toMatchObject({
    level: 'error',
    msg: 'failed',
    audit: true,
    err: { message: 'outer', cause: { message: 'inner' } },
  });
  expect(new Date(line.time).toISOString()).toBe(line.time);
  expect(Object.keys(line)).not.toContain('pid');
});

test('lines below the level are left out, and a line stays one', () => {
  const { lines, log } = open('warn');
  log.info('no');
  log.warn({ path: 'a\nb\u0000' }, 'yes\r\nforged');
  expect(lines).toHaveLength(1);
  expect(lines[0]?.trimEnd().split('\n')).toHaveLength(1);
});
