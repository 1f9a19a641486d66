import { inspect } from 'node:util';
import { observeProxy } from '../../../cli/observe.ts';
import type { Document } from '../../../connectors/schema.ts';
import { createLogger } from '../../../platform/logger.ts';
import { createMetrics } from '../../../platform/metrics.ts';
import type { CallerSource } from '../../../proxy/caller.ts';
import { type StartProxyOptions, startProxy } from '../../support/proxy.ts';
import { exchangeRaw } from './raw-exchange.ts';

/** The spellings of a secret that count as the secret, by name. */
function spellingsOf(secret: string): [string, string][] {
  const bytes = Buffer.from(secret);
  const escaped = JSON.stringify(secret).slice(1, -1);
  return [
    ['raw', secret],
    ['in JSON', escaped],
    ['in JSON in JSON', JSON.stringify(escaped).slice(1, -1)],
    ['percent-encoded', encodeURIComponent(secret)],
    ['as a form has it', new URLSearchParams({ '': secret }).toString().slice(1)],
    ['in hexadecimal digits', bytes.toString('hex')],
    ...[0, 1, 2].map((offset): [string, string] => [`in base64 behind ${offset} bytes`, base64Within(bytes, offset)]),
  ];
}

/** The digits of base64 that only the secret decides, with `offset` bytes modulo three before it. */
function base64Within(bytes: Buffer, offset: number): string {
  const digits = Buffer.concat([Buffer.alloc(offset), bytes])
    .toString('base64')
    .replace(/=+$/, '');
  return digits.slice(offset === 0 ? 0 : 4, -4);
}

/** Which secrets stand in a text, and how, `password raw`; letters count in either case, and base64 in either alphabet. */
export function findSecrets(text: string, secrets: Readonly<Record<string, string>>): string[] {
  const plain = (value: string) => value.toLowerCase().replaceAll('-', '+').replaceAll('_', '/');
  const searched = plain(text);
  return Object.entries(secrets).flatMap(([name, secret]) =>
    spellingsOf(secret)
      .filter(([, spelling]) => searched.includes(plain(spelling)))
      .map(([how]) => `${name} ${how}`),
  );
}

export interface CanaryProxyOptions {
  readonly documents: Iterable<Document>;
  readonly callers: CallerSource;
  readonly transports?: StartProxyOptions['transports'];
}

/** A proxy whose every word is kept: log lines of every level, bytes of answers, metrics, errors. */
export async function startCanaryProxy(options: CanaryProxyOptions) {
  const { documents, callers, transports } = options;
  const logs: string[] = [];
  const answers: string[] = [];
  const errors: string[] = [];
  const log = createLogger({ level: 'trace', isPretty: false }, { write: (line: string) => void logs.push(line) });
  const metrics = createMetrics();
  const observe = observeProxy(log, metrics);
  const proxy = await startProxy({
    documents,
    callers,
    ...(transports && { transports }),
    observer: (operation, cause) => {
      observe(operation, cause);
      errors.push(inspect(cause, { depth: 8 }));
    },
  });
  return {
    log,
    metrics,
    proxy,
    answers,
    logs,
    /** Sends a request and keeps what comes; returns its status. */
    async ask(url: string, { method = 'GET', authorization = '' }): Promise<number> {
      const { pathname, search } = new URL(url);
      const headers = [
        'Host: localhost',
        'Connection: close',
        ...(authorization && [`Authorization: ${authorization}`]),
      ];
      const answer = await exchangeRaw(
        proxy.port,
        `${method} ${pathname}${search} HTTP/1.1\r\n${headers.join('\r\n')}\r\n\r\n`,
      );
      answers.push(answer.toString('latin1'), answer.toString('utf8'));
      return Number(answer.subarray(9, 12).toString());
    },
    /** `log: password raw` and so on; empty when nothing leaked. */
    async leaks(secrets: Readonly<Record<string, string>>): Promise<string[]> {
      const texts = { log: logs, answer: answers, error: errors, metrics: [await metrics.registry.metrics()] };
      return Object.entries(texts).flatMap(([sink, found]) =>
        findSecrets(found.join('\n'), secrets).map((leak) => `${sink}: ${leak}`),
      );
    },
  };
}
