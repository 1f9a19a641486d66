import { createLogger } from '../platform/logger.ts';
import { startController } from './controller.ts';
import { readControllerSettings } from './controller-settings.ts';
import { runUntilSignal } from './run-until-signal.ts';

export async function runController(options: object): Promise<void> {
  const settings = readControllerSettings(options, process.env, process.stderr.isTTY === true);
  const log = createLogger({ level: settings.logLevel, isPretty: settings.isPretty });
  await runUntilSignal(log, () => startController(settings, log));
}
