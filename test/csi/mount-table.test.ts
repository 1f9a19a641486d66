import { expect, test } from 'vitest';
import { parseMountInfo } from '../../csi/mount-table.ts';

test('mountinfo is read with any number of optional fields, and with escapes', () => {
  const text = [
    '22 1 254:0 / / rw,relatime - ext4 /dev/root rw',
    '36 22 0:30 / /var/lib/kubelet/pods/a\\040b\\134c\\011d rw,nosuid shared:1 master:2 - tmpfs connectors-csi rw,size=64k',
    '37 22 0:31 / /ünï rw unbindable - tmpfs my\\040source rw',
    'short line',
    '',
  ].join('\n');
  expect(parseMountInfo(text)).toEqual([
    { target: '/', type: 'ext4', source: '/dev/root' },
    { target: '/var/lib/kubelet/pods/a b\\c\td', type: 'tmpfs', source: 'connectors-csi' },
    { target: '/ünï', type: 'tmpfs', source: 'my source' },
  ]);
});
