import { createLogger } from '../platform/logger.ts';
import { startStandalone } from './standalone.ts';
import { readStandaloneSettings } from './standalone-settings.ts';

/** Runs until SIGTERM or SIGINT, then drains. A second signal ends it at once. */
export async function runStandalone(options: unknown): Promise<void> {
  const settings = readStandaloneSettings(options, process.env, process.stderr.isTTY === true);
  const log = createLogger({ level: settings.logLevel, isPretty: settings.isPretty });
  // Before the start: a signal that comes meanwhile must end it in order as well.
  const told = firstSignal();
  const standalone = await startStandalone(settings, log);
  const signal = await told;
  process.once('SIGTERM', () => process.exit(1)).once('SIGINT', () => process.exit(1));
  log.info({ signal }, 'told to end');
  await standalone.close();
  log.info('ended');
  process.exit(0);
}

function firstSignal(): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, resolve);
  });
}
