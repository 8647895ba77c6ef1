import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.opensearch.analysis.common.CommonAnalysisPlugin;
import org.opensearch.common.settings.Settings;
import org.opensearch.index.mapper.MapperExtrasPlugin;
import org.opensearch.node.InternalSettingsPreparer;
import org.opensearch.node.Node;
import org.opensearch.plugins.Plugin;
import org.opensearch.transport.Netty4Plugin;

/** One OpenSearch node on 127.0.0.1. Usage: OpenSearchNode DATA_FOLDER HTTP_PORT TRANSPORT_PORT. Ends with its process. */
public final class OpenSearchNode {
  private static final class Embedded extends Node {
    Embedded(Settings settings, Path conf, List<Class<? extends Plugin>> plugins) {
      super(InternalSettingsPreparer.prepareEnvironment(settings, Map.of(), conf, () -> "tests"), plugins, true);
    }
  }

  public static void main(String[] args) throws Exception {
    Path data = Path.of(args[0]).toAbsolutePath();
    Path conf = Files.createDirectories(data.resolve("config"));
    Settings settings = Settings.builder()
        .put("path.home", data.toString())
        .put("path.data", data.resolve("data").toString())
        .put("path.logs", data.resolve("logs").toString())
        .put("cluster.name", "towline-tests")
        .put("node.name", "tests")
        .put("network.host", "127.0.0.1")
        .put("http.port", args[1])
        .put("transport.port", args[2])
        .put("discovery.type", "single-node")
        .put("cluster.routing.allocation.disk.threshold_enabled", false)
        // A data stream that has no template must be an error, not an index that somebody guessed.
        .put("action.auto_create_index", "logs-*")
        .put("http.type", "netty4")
        .put("transport.type", "netty4")
        .build();
    new Embedded(settings, conf,
        List.of(Netty4Plugin.class, MapperExtrasPlugin.class, CommonAnalysisPlugin.class)).start();
    Thread.currentThread().join();
  }
}
