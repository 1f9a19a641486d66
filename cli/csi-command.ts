import { createLogger } from '../platform/logger.ts';
import { startCsi } from './csi.ts';
import { readCsiSettings } from './csi-settings.ts';
import { runUntilSignal } from './run-until-signal.ts';

export async function runCsi(options: unknown): Promise<void> {
  const settings = readCsiSettings(options, process.env, process.stderr.isTTY === true);
  const log = createLogger({ level: settings.logLevel, isPretty: settings.isPretty });
  await runUntilSignal(log, () => startCsi(settings, log));
}
