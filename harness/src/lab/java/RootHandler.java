import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.apache.lucene.util.Version;
import org.elasticsearch.Build;
import org.elasticsearch.client.internal.node.NodeClient;
import org.elasticsearch.cluster.service.ClusterService;
import org.elasticsearch.rest.RestChannel;
import org.elasticsearch.rest.RestHandler;
import org.elasticsearch.rest.RestRequest;
import org.elasticsearch.rest.RestResponse;
import org.elasticsearch.rest.RestStatus;

/** Says at / who the server is, as Elasticsearch's own module does, which no registry has. */
final class RootHandler implements RestHandler {
    private final ClusterService cluster;

    RootHandler(ClusterService cluster) {
        this.cluster = cluster;
    }

    @Override
    public List<Route> routes() {
        return List.of(new Route(RestRequest.Method.GET, "/"), new Route(RestRequest.Method.HEAD, "/"));
    }

    @Override
    public void handleRequest(RestRequest request, RestChannel channel, NodeClient client) throws Exception {
        Map<String, Object> answer = new LinkedHashMap<>();
        answer.put("name", cluster.getNodeName());
        answer.put("cluster_name", cluster.getClusterName().value());
        answer.put("cluster_uuid", cluster.state().metadata().clusterUUID());
        answer.put("version", version(Build.current()));
        answer.put("tagline", "You Know, for Search");
        channel.sendResponse(new RestResponse(RestStatus.OK, channel.newBuilder().prettyPrint().map(answer)));
    }

    private static Map<String, Object> version(Build build) {
        Map<String, Object> version = new LinkedHashMap<>();
        version.put("number", build.qualifiedVersion());
        version.put("build_flavor", build.flavor());
        version.put("build_type", build.type().displayName());
        version.put("build_hash", build.hash());
        version.put("build_date", build.date());
        version.put("build_snapshot", build.isSnapshot());
        version.put("lucene_version", Version.LATEST.toString());
        version.put("minimum_wire_compatibility_version", build.minWireCompatVersion());
        version.put("minimum_index_compatibility_version", build.minIndexCompatVersion());
        return version;
    }
}
