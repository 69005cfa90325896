/** Stands in for the AWS SDK's default credential chain, so that no file, variable or program can be asked for credentials: it is not there. */
exports.defaultProvider = () => () => Promise.reject(new Error("there is no default chain of credentials in reeve"));
