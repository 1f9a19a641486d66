import type { UntypedServiceImplementation } from '@grpc/grpc-js';
import { driverName } from '../connectors/configurations/protocol.ts';
import { unaryCall } from './unary-call.ts';

/** CSI wants one and gives it no meaning; what runs is told by its image. */
const vendorVersion = '1';

/** The Identity service. */
export const identity: UntypedServiceImplementation = {
  GetPluginInfo: unaryCall(() => ({ name: driverName, vendor_version: vendorVersion })),
  GetPluginCapabilities: unaryCall(() => ({ capabilities: [] })),
  Probe: unaryCall(() => ({ ready: { value: true } })),
};
