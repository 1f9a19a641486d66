import { inTime } from '../platform/in-time.ts';
import type { Logger } from '../platform/logger.ts';

/** Whoever is told to end while it starts gets this long to be through: it may wait for an API server for ever. */
const startGraceMs = 5_000;

/**
 * Starts something and runs it until SIGTERM or SIGINT, then closes it. A second signal ends the process at once, and so
 * does a first one where the start does not come to its end within `graceMs` after it.
 */
export async function runUntilSignal(
  log: Logger,
  start: () => Promise<{ close(): Promise<void> }>,
  graceMs = startGraceMs,
): Promise<never> {
  // Before the start: a signal that comes meanwhile must end it in order as well.
  const told = firstSignal();
  const starting = start();
  const started = await Promise.race([starting, told.then(() => inTime(starting, graceMs))]);
  const signal = await told;
  log.info({ signal }, 'told to end');
  if (started === undefined) {
    log.warn('it had not started yet');
    process.exit(1);
  }
  await started.close();
  log.info('ended');
  process.exit(0);
}

async function firstSignal(): Promise<NodeJS.Signals> {
  const told = Promise.withResolvers<NodeJS.Signals>();
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, told.resolve);
  const signal = await told.promise;
  process.once('SIGTERM', () => process.exit(1)).once('SIGINT', () => process.exit(1));
  return signal;
}
