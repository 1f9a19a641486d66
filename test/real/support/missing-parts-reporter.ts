import type { Reporter, TestModule } from 'vitest/node';
import { readMissing } from './missing-parts.ts';
import { isPartName, partSources } from './part-names.ts';

interface SkippedSuite {
  readonly suite: string;
  readonly file: string;
  readonly parts: readonly string[];
}

/** Ends a run with the suites that were skipped for want of real parts, and how to get those. */
export default class MissingPartsReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[]): void {
    const skipped = modules.flatMap(skippedSuites);
    if (skipped.length > 0) process.stdout.write(formatSkipped(skipped));
  }
}

function skippedSuites(module: TestModule): SkippedSuite[] {
  return [...module.children.allSuites()].flatMap((suite) => {
    const missing = readMissing(suite.fullName);
    return missing === undefined ? [] : [{ ...missing, file: module.relativeModuleId }];
  });
}

function formatSkipped(skipped: readonly SkippedSuite[]): string {
  const parts = [...new Set(skipped.flatMap((suite) => suite.parts))].sort();
  return [
    '',
    '!!! NOT RUN: these suites need real parts that this machine lacks',
    ...skipped.map((suite) => `!!!   ${suite.file} > ${suite.suite} (lacks ${suite.parts.join(', ')})`),
    '!!! To get them:',
    ...parts.map((name) => `!!!   ${name}: ${isPartName(name) ? partSources[name] : 'unknown'}`),
    '',
    '',
  ].join('\n');
}
