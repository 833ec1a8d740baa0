/** The engine of the report: exact fields of a network, in the browser, without the model. */

export { load } from "./load.js";
export { Net } from "./net.js";
