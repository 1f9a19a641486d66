import { createLogger } from '../platform/logger.ts';
import { runUntilSignal } from './run-until-signal.ts';
import { startStandalone } from './standalone.ts';
import { readStandaloneSettings } from './standalone-settings.ts';

export async function runStandalone(options: unknown): Promise<void> {
  const settings = readStandaloneSettings(options, process.env, process.stderr.isTTY === true);
  const log = createLogger({ level: settings.logLevel, isPretty: settings.isPretty });
  await runUntilSignal(log, () => startStandalone(settings, log));
}
