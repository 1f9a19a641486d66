import type { Logger } from '../platform/logger.ts';

/** Starts something and runs it until SIGTERM or SIGINT, then closes it. A second signal ends the process at once. */
export async function runUntilSignal(log: Logger, start: () => Promise<{ close(): Promise<void> }>): Promise<never> {
  // Before the start: a signal that comes meanwhile must end it in order as well.
  const told = firstSignal();
  const started = await start();
  const signal = await told;
  process.once('SIGTERM', () => process.exit(1)).once('SIGINT', () => process.exit(1));
  log.info({ signal }, 'told to end');
  await started.close();
  log.info('ended');
  process.exit(0);
}

function firstSignal(): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, resolve);
  });
}
