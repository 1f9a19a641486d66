import { type DestinationStream, type Logger, pino, stdSerializers } from 'pino';
import pretty from 'pino-pretty';

export type { Logger } from 'pino';

export const logLevels = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const;
export type LogLevel = (typeof logLevels)[number];

export interface LoggerOptions {
  level: LogLevel;
  /** For people: colours and columns instead of JSON lines. */
  isPretty: boolean;
}

/** Names under which a credential could be logged by mistake, at any of the first levels of an object. */
const secretNames = [
  ...['authorization', 'Authorization', 'proxy-authorization', 'cookie', 'set-cookie'],
  ...['password', 'token', 'access_token', 'refresh_token', 'identitytoken', 'auth', 'secret', 'key'],
];
const redactedPaths = secretNames.flatMap((name) => [`["${name}"]`, `*["${name}"]`, `*.*["${name}"]`]);

/** A logger that writes to standard error; standard output belongs to what a command answers. */
export function createLogger(options: LoggerOptions, destination: DestinationStream = standardError(options)): Logger {
  return pino(
    {
      level: options.level,
      redact: { paths: redactedPaths, censor: '[redacted]' },
      serializers: { err: stdSerializers.errWithCause },
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }), bindings: () => ({}) },
    },
    destination,
  );
}

/** Lines are gathered to blocks under load, and written after a tenth of a second at the latest, or when the process ends. */
function standardError({ isPretty }: LoggerOptions): DestinationStream {
  if (isPretty) return pretty({ destination: 2, sync: true, ignore: 'audit', translateTime: 'HH:MM:ss' });
  const destination = pino.destination({ dest: 2, sync: true, minLength: 4096, periodicFlush: 100 });
  process.once('exit', () => destination.flushSync());
  return destination;
}
